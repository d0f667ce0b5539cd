-- Unfinished intents by goal, as last counted. Goal and namespace '' stand for all others.
--
-- Index: none, a small table.
SELECT namespace, goal, claimable, waiting, claimed, past_lease,
       coalesce(extract(epoch FROM clock_timestamp() - oldest_at), 0)::double precision AS oldest_age
FROM open_goals
ORDER BY namespace, goal
