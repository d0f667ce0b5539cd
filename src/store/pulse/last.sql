-- When a replica gave its last sign of life.
--
-- $1 replica
-- Index: primary key.
SELECT seen_at FROM replicas WHERE id = $1
