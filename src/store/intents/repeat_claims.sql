-- Gives claims out again to a request that came again and was let in. They are marked, so that the earlier try, when it finds nobody to
-- take its answer, leaves them. Each comes with the whole seconds that are left of its lease, 1 at least.
--
-- $1 what they are found by
-- Index: intents_claim_request. Locked in the order of ids.
WITH held AS MATERIALIZED (
    SELECT id
    FROM intents
    WHERE claim_request = ANY ($1::uuid[]) AND claim_hash IS NOT NULL AND state = 'claimed' AND lease_until > clock_timestamp()
    -- In the order of ids, but not in a way that lets the primary key be walked for it.
    ORDER BY id::text COLLATE "C"
    FOR UPDATE
)
UPDATE intents
SET claim_repeated = true
FROM held
WHERE intents.id = ANY (ARRAY[held.id])
RETURNING intents.id, namespace, goal, claim_attempts, priority, target_worker, required_capability,
    payload_day::text AS payload_day, claim_request, claim_salt, claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed,
    greatest(1, floor(extract(epoch FROM lease_until - clock_timestamp())))::integer AS left
