-- Adds up what has finished since the last time. Stops 12 s short of now, longer than any transaction may take to commit; so it does
-- nothing when somebody has counted within the last 8 s, as block_ranges.sql, which comes before.
--
-- Index: finished_by_time (block ranges), which only a bitmap scan can read: the transaction has to allow it. The row of
-- totals_progress is locked, so one replica at a time counts; no row comes back when another is at it.
WITH progress AS MATERIALIZED (
    SELECT finished_until AS since, clock_timestamp() - interval '12 seconds' AS until
    FROM totals_progress
    WHERE finished_until < clock_timestamp() - interval '20 seconds'
    -- There is one row, which the planner does not know.
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), fresh AS (
    INSERT INTO finished_totals AS kept (day, namespace, state, count)
    SELECT (finished_at AT TIME ZONE 'UTC')::date, namespace, state, count(*)
    FROM finished, progress
    WHERE finished_at > since AND finished_at <= until
    GROUP BY 1, 2, 3
    ON CONFLICT (day, namespace, state) DO UPDATE SET count = kept.count + EXCLUDED.count
)
UPDATE totals_progress SET finished_until = greatest(since, until) FROM progress RETURNING 1
