-- Intents by namespace and state, as last counted, and the number of keys in use.
--
-- Index: none; small tables.
SELECT namespace, state::text AS state, sum(count)::bigint AS count
FROM (
    SELECT namespace, state, count FROM open_totals
    UNION ALL
    SELECT namespace, state, count FROM finished_totals
) AS totals
GROUP BY namespace, state
ORDER BY namespace, state
