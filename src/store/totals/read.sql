-- Intents by namespace and state, as last counted.
--
-- $1 whether to add what has finished since it was last added up (some seconds' worth, for a page that a person opens)
-- Index: none for the totals, small tables; finished_by_time for what has finished since, as in add_finished.sql.
SELECT namespace, state::text AS state, sum(count)::bigint AS count
FROM (
    SELECT namespace, state, count FROM open_totals
    UNION ALL
    SELECT namespace, state, count FROM finished_totals
    UNION ALL
    SELECT namespace, state, count(*)
    FROM finished
    WHERE $1 AND finished_at > (SELECT finished_until FROM totals_progress)
    GROUP BY namespace, state
) AS totals
GROUP BY namespace, state
ORDER BY namespace, state
