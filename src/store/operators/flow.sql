-- What all replicas did in each step of the last hour. Steps in which nothing was done are missing.
--
-- Index: primary key of activity, by its time: a row for each step, replica and goal with a series of its own.
SELECT extract(epoch FROM at)::double precision AS at, sum(published)::bigint AS published, sum(claimed)::bigint AS claimed,
       sum(fulfilled)::bigint AS fulfilled, sum(failed)::bigint AS failed, sum(dead)::bigint AS dead
FROM activity
WHERE at > clock_timestamp() - interval '1 hour'
GROUP BY activity.at
ORDER BY activity.at
