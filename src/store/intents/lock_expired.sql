-- Locks those of the given intents that are still past their time to live.
--
-- $1 ids  $2 time to live in seconds
-- Index: primary key of intents. SKIP LOCKED: whoever holds one is changing it.
SELECT id
FROM intents
WHERE id = ANY ($1::uuid[]) AND visible_at <= clock_timestamp() - make_interval(secs => $2::double precision)
FOR UPDATE SKIP LOCKED
