-- Lets one authenticated request in, or says why not: stale timestamp, nonce seen before, rate limit reached.
-- Runs first in the transaction of what the request does; on a refusal the caller rolls back, so nothing is kept.
--
-- $1 tenant  $2 hash of tenant and nonce (NULL: unsigned)  $3 signed timestamp, unix seconds (NULL: unsigned)
-- $4 requests allowed in a minute (NULL: any number)
--
-- Index: primary keys of nonces and rate_windows. One row is inserted in the nonces of this period of 600 s, and the
-- period before is looked into. Trap: a transaction of the last period that has not committed yet is invisible to that
-- look, so in the last 30 s of a period (longer than any transaction may last) the nonce goes into the next period too,
-- where the unique index makes the second comer wait for the first.
-- The rate is a sliding window of whole seconds: 60 full ones and the current one. Entries are merged by second because
-- a request that waited for the row's lock carries an older second than the one that held it.
WITH clock AS MATERIALIZED (
    SELECT extract(epoch FROM clock_timestamp()) AS unix
), period AS MATERIALIZED (
    SELECT floor(unix)::bigint AS second,
           floor(unix / 600)::bigint AS number,
           unix - 600 * floor(unix / 600) >= 570 AS ending
    FROM clock
), seen AS MATERIALIZED (
    SELECT 1
    FROM nonces, period
    WHERE nonces.slot = ((number + 3) % 4)::smallint AND nonces.hash = $2::uuid
), stored AS (
    INSERT INTO nonces (slot, hash)
    SELECT ((number + ahead) % 4)::smallint, $2::uuid
    FROM period, generate_series(0, CASE WHEN ending THEN 1 ELSE 0 END) AS ahead
    WHERE $2::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM seen)
    ORDER BY ahead
    ON CONFLICT DO NOTHING
    RETURNING slot
), counted AS (
    INSERT INTO rate_windows AS kept (tenant_id, seconds, hits)
    SELECT $1::bigint, ARRAY[second], ARRAY[1]
    FROM period
    WHERE $4::integer IS NOT NULL
    ON CONFLICT (tenant_id) DO UPDATE
    SET (seconds, hits) = (
        SELECT array_agg(second ORDER BY second), array_agg(sum ORDER BY second)
        FROM (
            SELECT second, sum(hit)::integer AS sum
            FROM (
                SELECT * FROM unnest(kept.seconds, kept.hits) AS old (second, hit)
                UNION ALL
                SELECT EXCLUDED.seconds[1], 1
            ) AS both_
            WHERE second > EXCLUDED.seconds[1] - 61
            GROUP BY second
        ) AS merged
    )
    WHERE (
        SELECT coalesce(sum(hit), 0)
        FROM unnest(kept.seconds, kept.hits) AS old (second, hit)
        WHERE second > EXCLUDED.seconds[1] - 61
    ) < $4::integer
    RETURNING 1
)
SELECT coalesce(abs(unix - $3::bigint) > 300, false) AS stale,
       $2::uuid IS NOT NULL
           AND (SELECT count(*) FROM stored) < (SELECT CASE WHEN ending THEN 2 ELSE 1 END FROM period) AS replayed,
       $4::integer IS NOT NULL AND NOT EXISTS (SELECT FROM counted) AS limited
FROM clock
