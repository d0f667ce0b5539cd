-- Summarizes the block ranges that finished intents have filled, today and, in the first hour of a day, yesterday. Does nothing when
-- somebody has counted within the last 8 s (`finished_until` stays 12 s behind), as add_finished.sql, which comes next.
--
-- Reads the catalogue, and looks up every range of these partitions, of 16 pages each.
SELECT brin_summarize_new_values(indexrelid) AS summarized
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_am ON pg_am.oid = index.relam
WHERE amname = 'brin'
  AND (SELECT finished_until FROM totals_progress) < clock_timestamp() - interval '20 seconds'
  AND indrelid = ANY (ARRAY(
      SELECT to_regclass('finished_' || to_char((clock_timestamp() AT TIME ZONE 'UTC') - ago, 'YYYYMMDD'))
      FROM unnest(ARRAY[interval '0', interval '1 hour']) AS ago
  ))
