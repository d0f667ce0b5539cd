-- Ends unfinished intents as dead: failed for the last time, cancelled, or expired. Says which rows there were, and
-- gives their tenants the quota back (in ascending order of tenants: see the lock order at `quotas`).
--
-- $1 ids (locked by this transaction)  $2 reasons, for each (NULL: the last error of the intent, or that its last lease ended)
-- Index: primary key of intents.
WITH gone AS (
    DELETE FROM intents
    USING unnest($1::uuid[], $2::text[]) AS dead (id, reason)
    WHERE intents.id = ANY (ARRAY[dead.id])
    RETURNING intents.*, dead.reason
), given_back AS MATERIALIZED (
    SELECT kept.tenant_id, (SELECT count(*) FROM gone WHERE gone.tenant_id = kept.tenant_id) AS ended
    FROM quotas AS kept
    WHERE kept.tenant_id = ANY (ARRAY(SELECT tenant_id FROM gone))
    ORDER BY kept.tenant_id
    FOR UPDATE
), counted AS (
    UPDATE quotas
    SET open_intents = open_intents - ended
    FROM given_back
    WHERE quotas.tenant_id = ANY (ARRAY[given_back.tenant_id])
)
INSERT INTO finished (
    id, finished_at, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, state, priority,
    claim_attempts, max_attempts, has_retry_policy, public, namespace, goal, target_worker, required_capability,
    worker_id, last_error, claimed_at, traceparent, past_attempts, claim_hash
)
SELECT
    id, clock_timestamp(), tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, 'dead', priority,
    claim_attempts, max_attempts, has_retry_policy, public_lane IS NOT NULL, namespace, goal, target_worker,
    required_capability, worker_id, coalesce(reason, last_error, 'The lease of the last attempt ended.'), claimed_at, traceparent,
    past_attempts, CASE WHEN reason IS NULL THEN claim_hash END
FROM gone
RETURNING id, namespace, goal, claim_attempts, worker_id
