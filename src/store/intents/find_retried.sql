-- Claims that were made by earlier tries of these requests, and whose leases have not ended. They are marked as given out again, so
-- that the earlier try, when it finds nobody to take its answer, leaves them.
--
-- $1 hashes of the claim tokens
-- Index: intents_retryable_claims. Locked in the order of ids, as by those who finish.
WITH held AS MATERIALIZED (
    SELECT id
    FROM intents
    WHERE claim_hash = ANY ($1::uuid[]) AND claim_retryable AND state = 'claimed' AND lease_until > clock_timestamp()
    ORDER BY id
    FOR UPDATE
)
UPDATE intents
SET claim_repeated = true
FROM held
WHERE intents.id = held.id
RETURNING intents.id, namespace, goal, claim_attempts, priority, target_worker, required_capability,
    payload_day::text AS payload_day, claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed
