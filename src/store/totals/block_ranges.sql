-- The block range indexes of the partitions of finished intents that rows arrive in: today's, and yesterday's for the last of a day.
--
-- `by_itself`: Postgres still asks its autovacuum for a summary of each range that was begun.
-- Reads the catalogue only.
SELECT brin.relname::text AS name, coalesce(brin.reloptions @> ARRAY['autosummarize=on'], false) AS by_itself
FROM pg_index
JOIN pg_class AS brin ON brin.oid = indexrelid
JOIN pg_am ON pg_am.oid = brin.relam
WHERE amname = 'brin'
  AND indrelid = ANY (ARRAY(
      SELECT to_regclass('finished_' || to_char((clock_timestamp() AT TIME ZONE 'UTC')::date - ago, 'YYYYMMDD'))
      FROM generate_series(0, 1) AS ago
  ))
