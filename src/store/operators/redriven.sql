-- Which of these intents are unfinished: those that a first try, whose answer was lost, has put back.
--
-- $1 ids
-- Index: primary key of intents.
SELECT coalesce(array_agg(id), '{}') AS ids, extract(epoch FROM max(visible_at))::double precision AS last_due_at
FROM intents
WHERE id = ANY ($1::uuid[])
