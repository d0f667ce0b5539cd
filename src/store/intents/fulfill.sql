-- Ends a claim well: the intent leaves `intents` and is appended to `finished` with its result. No row comes back when
-- this claim does not hold it (finished, claimed again, another tenant's, a wrong token, unknown).
--
-- $1 id  $2 tenant that claimed  $3 hash of the claim token (NULL: the tenant suffices)  $4 result  $5 its type
--
-- Index: primary key of intents. A lease that has ended does not matter as long as nobody has claimed the intent since.
WITH gone AS (
    DELETE FROM intents
    WHERE id = $1 AND state = 'claimed' AND claimed_by = $2 AND ($3::uuid IS NULL OR claim_hash = $3::uuid)
    RETURNING *
), counted AS (
    UPDATE quotas SET open_intents = open_intents - 1 FROM gone WHERE quotas.tenant_id = gone.tenant_id
)
INSERT INTO finished (
    id, finished_at, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, state, priority,
    claim_attempts, max_attempts, has_retry_policy, public, namespace, goal, target_worker, required_capability,
    worker_id, last_error, result, result_type
)
SELECT
    id, clock_timestamp(), tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, 'fulfilled', priority,
    claim_attempts, max_attempts, has_retry_policy, public_lane IS NOT NULL, namespace, goal, target_worker,
    required_capability, worker_id, last_error, $4, $5
FROM gone
RETURNING id
