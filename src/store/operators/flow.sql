-- What all replicas did in each step from a moment on. Steps in which nothing was done are missing.
--
-- $1 the moment, in unix seconds
-- Index: primary key of activity, by its time: a row for each step, replica and goal with a series of its own.
SELECT extract(epoch FROM at)::double precision AS at, sum(published)::bigint AS published, sum(claimed)::bigint AS claimed,
       sum(fulfilled)::bigint AS fulfilled, sum(failed)::bigint AS failed, sum(dead)::bigint AS dead
FROM activity
WHERE at >= to_timestamp($1::double precision)
GROUP BY activity.at
ORDER BY activity.at
