-- Is there such an intent, finished or not?
--
-- $1 id
-- Index: primary keys of intents and of each partition of finished.
SELECT id FROM intents WHERE id = $1
UNION ALL
SELECT id FROM finished WHERE id = $1
LIMIT 1
