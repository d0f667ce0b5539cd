-- The day that lies so many days before today, as YYYYMMDD.
--
-- $1 days
SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC')::date - $1::integer, 'YYYYMMDD') AS day
