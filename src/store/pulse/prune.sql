-- Forgets what dashboards do not show any more: activity after two hours, replicas an hour after their last sign of life,
-- workers after a day, and of those the ones not seen for longest where there are more than ten thousand.
--
-- Indexes: primary keys of activity and replicas; workers_seen_at, of which 10,001 entries are read.
WITH old_activity AS (
    DELETE FROM activity WHERE at < (SELECT clock_timestamp()) - interval '2 hours' RETURNING 1
), old_replicas AS (
    DELETE FROM replicas WHERE seen_at < clock_timestamp() - interval '1 hour' RETURNING 1
), old_workers AS (
    DELETE FROM workers
    WHERE seen_at < greatest(
        (SELECT clock_timestamp()) - interval '1 day',
        (SELECT seen_at FROM workers ORDER BY seen_at DESC OFFSET 10000 LIMIT 1)
    )
    RETURNING 1
)
SELECT (SELECT count(*) FROM old_activity) + (SELECT count(*) FROM old_replicas) + (SELECT count(*) FROM old_workers) AS count
