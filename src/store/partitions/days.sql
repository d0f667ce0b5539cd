-- Which days have a partition, and the calendar from today on, ten days of it. Days as YYYYMMDD.
--
-- $1 parent table
-- Reads the catalogue only.
SELECT ARRAY(
           SELECT right(child.relname, 8)
           FROM pg_inherits
           JOIN pg_class AS child ON child.oid = inhrelid
           WHERE inhparent = to_regclass($1)
           ORDER BY 1
       ) AS days,
       ARRAY(
           SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + ahead, 'YYYYMMDD')
           FROM generate_series(0, 9) AS ahead
       ) AS calendar
