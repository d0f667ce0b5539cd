-- The newest dead letters.
--
-- $1 how many
-- Index: finished_dead, the newest entries of each partition.
SELECT id, namespace, goal, claim_attempts, last_error, extract(epoch FROM finished_at)::double precision AS died_at
FROM finished
WHERE state = 'dead'
ORDER BY finished_at DESC
LIMIT $1
