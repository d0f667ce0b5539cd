-- Looks at the next stretch of unfinished intents in the order of their keys, for maintenance: how far it came, which have
-- outlived their time to live, and which have a payload in a partition that is soon to be dropped. Locks nothing.
--
-- $1 the last id of the stretch before  $2 rows in a stretch  $3 time to live in seconds
-- $4 payloads older than so many days are to be moved
-- Index: primary key of intents.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), stretch AS MATERIALIZED (
    SELECT id, visible_at, payload_day FROM intents WHERE id > $1::uuid ORDER BY id LIMIT $2
)
SELECT (array_agg(id ORDER BY id DESC))[1] AS last_id,
       coalesce(array_agg(id) FILTER (
           WHERE visible_at <= now - make_interval(secs => $3::double precision)
       ), '{}') AS expired,
       coalesce(array_agg(id) FILTER (
           WHERE payload_day < (now AT TIME ZONE 'UTC')::date - $4::integer
       ), '{}') AS old_payloads
FROM stretch, clock
