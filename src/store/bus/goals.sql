-- Unfinished intents by goal as last counted, those with the most first. Goal and namespace '' stand for all others.
--
-- Index: none, a small table.
SELECT namespace, goal, claimable, waiting, claimed, past_lease,
       CASE WHEN oldest_at IS NOT NULL
           THEN greatest(extract(epoch FROM clock_timestamp() - oldest_at), 0)::double precision
       END AS oldest_age
FROM open_goals
ORDER BY claimable + waiting + claimed + past_lease DESC, namespace, goal
