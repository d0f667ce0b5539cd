-- What is paused, at most 1000 lines.
--
-- Index: primary key.
SELECT namespace, nullif(goal, '') AS goal, extract(epoch FROM paused_at)::double precision AS paused_at
FROM pauses
ORDER BY namespace, goal
LIMIT 1000
