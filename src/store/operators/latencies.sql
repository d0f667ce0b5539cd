-- Latencies of the last five minutes by goal, as counts by bucket.
--
-- Index: primary key of activity, by its time.
SELECT namespace, goal, bucket::integer, sum(count.waited)::bigint AS waited, sum(count.worked)::bigint AS worked,
       sum(count.took)::bigint AS took
FROM activity,
    unnest(activity.waited, activity.worked, activity.took) WITH ORDINALITY AS count (waited, worked, took, bucket)
WHERE at > (SELECT clock_timestamp()) - interval '5 minutes'
GROUP BY namespace, goal, bucket
ORDER BY namespace, goal, bucket
