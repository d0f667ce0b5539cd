-- Locks one unfinished intent, for an operator who ends it.
--
-- $1 id
-- Index: primary key of intents.
SELECT id FROM intents WHERE id = $1 FOR UPDATE
