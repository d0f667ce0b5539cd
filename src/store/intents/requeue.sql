-- Gives a claimed intent back after a failure, to be claimed again after its backoff:
-- backoff_base * 2^claim_attempts seconds and a jitter of up to 2.
--
-- $1 id (locked by this transaction)  $2 error
-- Index: primary key of intents.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), retry AS MATERIALIZED (
    SELECT now + make_interval(secs => backoff_base * 2.0 ^ claim_attempts + 2 * random()) AS at
    FROM intents, clock
    WHERE id = $1
)
UPDATE intents
SET state = 'open', claim_hash = NULL, lease_until = NULL, run_at = retry.at, visible_at = retry.at, last_error = $2
FROM retry
WHERE id = $1
