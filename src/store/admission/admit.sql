-- Lets requests in, or says why not: stale timestamp, nonce seen before, rate limit reached. Not a statement of its own but
-- the beginning of one: what the requests do follows in the same statement and asks `verdicts`.
--
-- $1 tenants  $2 hashes of tenant and nonce (NULL: unsigned)  $3 signed timestamps, unix seconds (NULL: unsigned)
-- $4 requests allowed in a minute (NULL: any number); one entry of each for each request, no nonce twice
-- {left_out}: a query for the numbers of requests that are left out of this statement
-- Between `--if limits` and `--end` stands what is left out when no request has a limit (then what stands after `--else` is in);
-- `--if ending`: when the period is not in its last 30 s.
-- {is_now}: whether this text is for this moment. Texts that name the partitions of one period spare the server to open all
-- the others (60 us a statement); in another period they do nothing. {slot}, {slot_before}, {slot_next}: of the nonces of this
-- period and those beside it.
--
-- `verdicts` is one array, by the number of the request: 0 let in, 1 stale, 2 replayed, 3 rate limited, 4 left out, 5 all of
-- them, since it is not this text's time, 6 all of them, since another try of the same was faster (claims only). 7 and 8 are
-- those of admit_all.sql.
-- An array, because a subscript costs the same however many rows there are. Sessions know no join but the nested loop (which
-- for tables is a look into their index), so nothing here joins one row of many to one row of many.
--
-- Index: primary keys of nonces and rate_windows. One row is inserted in the nonces of this period of 600 s, and the
-- period before is looked into. Trap: a transaction of the last period that has not committed yet is invisible to that
-- look, so in the last 30 s of a period (longer than any transaction may last) the nonce goes into the next period too,
-- where the unique index makes the second comer wait for the first.
-- The rate is a sliding window of whole seconds: 60 full ones and the current one. Its row is locked before it is read, so
-- that of requests that arrive together exactly as many are let in as there is room for. Rows are locked and nonces stored
-- in ascending order, so that two statements cannot wait for each other.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), period AS MATERIALIZED (
    SELECT unix,
           floor(unix)::bigint AS second,
           unix - 600 * floor(unix / 600) >= 570 AS ending,
           {is_now} AS is_now
    FROM (SELECT now, extract(epoch FROM now)::double precision AS unix FROM clock) AS at
--if gate
), gate AS (
    -- Of several tries of the same statement one does something, also of those that arrive late.
    INSERT INTO {nonces} (slot, hash)
    SELECT {slot}, $22::uuid
    FROM period
    WHERE is_now AND $22::uuid IS NOT NULL AND NOT EXISTS (
        SELECT FROM {nonces_before} AS used WHERE used.slot = {slot_before} AND used.hash = $22::uuid OFFSET 0
    )
    ON CONFLICT DO NOTHING
    RETURNING hash
--end
), asked AS MATERIALIZED (
    SELECT request::integer, tenant, nonce, allowed,
           CASE
               WHEN NOT is_now THEN 5
--if gate
               WHEN $22::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM gate) THEN 6
--end
               WHEN request::integer IN ({left_out}) THEN 4
               WHEN abs(unix - signed_at) > 300 THEN 1
               WHEN EXISTS (
                   SELECT FROM {nonces_before} AS used
                   WHERE used.slot = {slot_before} AND used.hash = asked.nonce
                   OFFSET 0
               ) THEN 2
--if limits
               -- Stored below, where a conflict shows in any case; but what is replayed shall not use up the minute.
               WHEN allowed IS NOT NULL AND EXISTS (
                   SELECT FROM {nonces} AS used WHERE used.slot = {slot} AND used.hash = asked.nonce OFFSET 0
               ) THEN 2
--end
               ELSE 0
           END AS verdict
    FROM period,
         unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::integer[]) WITH ORDINALITY
             AS asked (tenant, nonce, signed_at, allowed, request)
--if limits
), windows AS MATERIALIZED (
    SELECT tenant_id, seconds, hits
    FROM rate_windows
    WHERE tenant_id = ANY (ARRAY(SELECT tenant FROM asked WHERE allowed IS NOT NULL AND verdict = 0))
    ORDER BY tenant_id
    FOR UPDATE
), rated AS MATERIALIZED (
    -- What the minute holds already is counted as if it had come first, so that no join is needed.
    SELECT request, verdict, nonce,
           sum(hits) OVER (PARTITION BY tenant ORDER BY request) <= allowed
               AND bool_or(request = 0) OVER (PARTITION BY tenant) AS fits,
           tenant
    FROM (
        SELECT 0 AS request, tenant_id AS tenant, NULL::uuid AS nonce, 0 AS allowed, 0 AS verdict, (
                   SELECT coalesce(sum(hit), 0)
                   FROM unnest(seconds, hits) AS old (second, hit)
                   WHERE old.second > period.second - 61
               ) AS hits
        FROM windows, period
        UNION ALL
        SELECT request, tenant, nonce, allowed, verdict, 1 FROM asked WHERE allowed IS NOT NULL AND verdict = 0
    ) AS weighed
), weighed AS MATERIALIZED (
    SELECT request, nonce, verdict, NULL::bigint AS tenant FROM asked WHERE allowed IS NULL OR verdict <> 0
    UNION ALL
    SELECT request, nonce, CASE WHEN fits THEN 0 ELSE 3 END, tenant FROM rated WHERE request > 0
), counted AS (
    UPDATE rate_windows
    SET (seconds, hits) = (
        SELECT array_agg(merged.second ORDER BY merged.second), array_agg(merged.sum ORDER BY merged.second)
        FROM (
            SELECT each.second, sum(hit)::integer AS sum
            FROM (
                SELECT old.second, old.hit FROM unnest(rate_windows.seconds, rate_windows.hits) AS old (second, hit)
                UNION ALL
                SELECT period.second, fresh.hits
            ) AS each
            WHERE each.second > period.second - 61
            GROUP BY each.second
        ) AS merged
    )
    FROM (
        SELECT tenant, count(*)::integer AS hits
        FROM weighed
        WHERE verdict = 0 AND tenant IS NOT NULL
        GROUP BY tenant
    ) AS fresh, period
    WHERE rate_windows.tenant_id = ANY (ARRAY[fresh.tenant])
--else
), weighed AS MATERIALIZED (
    SELECT request, nonce, verdict FROM asked
--end
), stored AS (
    INSERT INTO {nonces} (slot, hash)
    SELECT {slot}, nonce
    FROM weighed, period
    WHERE verdict = 0 AND nonce IS NOT NULL
    ORDER BY nonce
    ON CONFLICT DO NOTHING
    RETURNING hash
--if ending
), stored_ahead AS (
    INSERT INTO {nonces_next} (slot, hash)
    SELECT {slot_next}, hash
    FROM stored, period
    WHERE ending
    ORDER BY hash
    ON CONFLICT DO NOTHING
    RETURNING hash
--end
), verdicts AS MATERIALIZED (
    SELECT array_agg(
               CASE
                   WHEN verdict <> 0 OR nonce IS NULL THEN verdict
                   WHEN (nonce IN (SELECT hash FROM stored)) IS NOT TRUE THEN 2
--if ending
                   WHEN ending AND (nonce IN (SELECT hash FROM stored_ahead)) IS NOT TRUE THEN 2
--end
                   ELSE 0
               END::smallint ORDER BY request
           ) AS verdicts
    FROM weighed, period
)
