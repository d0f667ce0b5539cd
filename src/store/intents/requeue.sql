-- Gives claimed intents back after a failure, to be claimed again after their backoff:
-- backoff_base * 2^claim_attempts seconds and a jitter of up to 2.
--
-- $1 ids (locked by this transaction)  $2 errors, for each
-- Index: primary key of intents.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), retry AS MATERIALIZED (
    SELECT failed.id, failed.error, now,
           now + make_interval(secs => backoff_base * 2.0 ^ claim_attempts + 2 * random()) AS at
    FROM clock, unnest($1::uuid[], $2::text[]) AS failed (id, error)
    JOIN intents ON intents.id = ANY (ARRAY[failed.id])
)
UPDATE intents
SET state = 'open', claim_hash = NULL, lease_until = NULL, claimed_at = NULL, run_at = retry.at, visible_at = retry.at,
    last_error = retry.error,
    past_attempts = coalesce(past_attempts, '[]') || jsonb_build_object(
        'attempt', claim_attempts, 'worker', worker_id, 'tenant', claimed_by, 'claimed_at', extract(epoch FROM claimed_at),
        'ended_at', extract(epoch FROM retry.now), 'outcome', 'failed', 'error', retry.error
    )
FROM retry
WHERE intents.id = ANY (ARRAY[retry.id])
