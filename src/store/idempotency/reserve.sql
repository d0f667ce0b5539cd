-- Takes an idempotency key for this request. `stored` without `taken`: somebody took it in the period that has just begun;
-- then this transaction must not be committed.
--
-- $1 hash of tenant, path and key  $2 hash of the canonical body
--
-- Index: primary key of idempotency_keys. Periods of 86,400 s, kept as the nonces are (see admit.sql for the trap at the
-- end of a period). The next period's slot is taken only with this one's: a key that was used earlier in this period is
-- not there yet. A transaction that has the key but has not committed makes this one wait.
WITH clock AS MATERIALIZED (
    SELECT extract(epoch FROM clock_timestamp()) AS unix
), period AS MATERIALIZED (
    SELECT floor(unix / 86400)::bigint AS number,
           unix - 86400 * floor(unix / 86400) >= 86370 AS ending
    FROM clock
), seen AS MATERIALIZED (
    SELECT 1
    FROM idempotency_keys
    WHERE slot = (SELECT ((number + 3) % 4)::smallint FROM period) AND hash = $1::uuid
), stored AS (
    INSERT INTO idempotency_keys (slot, hash, request_hash)
    SELECT (number % 4)::smallint, $1::uuid, $2::uuid
    FROM period
    WHERE NOT EXISTS (SELECT FROM seen)
    ON CONFLICT DO NOTHING
    RETURNING slot
), ahead AS (
    INSERT INTO idempotency_keys (slot, hash, request_hash)
    SELECT ((number + 1) % 4)::smallint, $1::uuid, $2::uuid
    FROM period, stored
    WHERE ending
    ON CONFLICT DO NOTHING
    RETURNING slot
)
SELECT EXISTS (SELECT FROM stored) AS stored,
       EXISTS (SELECT FROM stored) AND (NOT ending OR EXISTS (SELECT FROM ahead)) AS taken
FROM period
