-- A replica has stopped as it should: it is not looked for any more. What it has done stays.
--
-- $1 replica
-- Index: primary key.
DELETE FROM replicas WHERE id = $1
