-- Claims that were made by earlier tries of these requests, and whose leases have not ended.
--
-- $1 hashes of the claim tokens
-- Index: intents_retryable_claims.
SELECT id, namespace, goal, claim_attempts, priority, target_worker, required_capability, payload_day::text AS payload_day,
       claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed
FROM intents
WHERE claim_hash = ANY ($1::uuid[]) AND claim_retryable AND state = 'claimed' AND lease_until > clock_timestamp()
