-- Brings a dead intent back: open, due at once, no attempts used. Counts in its tenant's quota again, but is not refused by
-- it, since an operator asked. Is taken out of the totals if it was added up already; the lock on totals_progress keeps that
-- from changing meanwhile.
--
-- $1 id  $2..$5 lanes (own with goal, own, public with goal, public; the last two NULL: private)
-- Index: primary key of each partition of finished.
WITH gone AS (
    DELETE FROM finished WHERE id = $1 AND (state = 'dead') IS TRUE RETURNING *
), progress AS MATERIALIZED (
    SELECT finished_until FROM totals_progress FOR UPDATE
), uncounted AS (
    UPDATE finished_totals AS total
    SET count = count - 1
    FROM gone, progress
    WHERE total.day = (gone.finished_at AT TIME ZONE 'UTC')::date AND total.namespace = gone.namespace
      AND total.state = 'dead' AND gone.finished_at <= finished_until
), counted AS (
    UPDATE quotas SET open_intents = open_intents + 1 FROM gone WHERE quotas.tenant_id = ANY (ARRAY[gone.tenant_id])
), lanes AS (
    INSERT INTO lane_priorities (lane, priority)
    SELECT lane, priority FROM gone, unnest(ARRAY[$2::bigint, $3::bigint, $4::bigint, $5::bigint]) AS lane WHERE lane IS NOT NULL ORDER BY lane
    ON CONFLICT (lane, priority) DO UPDATE SET used_at = clock_timestamp()
), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
)
INSERT INTO intents (
    id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at, backoff_base,
    payload_day, priority, max_attempts, has_retry_policy, namespace, goal, target_worker, required_capability, last_error,
    traceparent, past_attempts
)
SELECT
    id, tenant_id, $2, $3, $4, $5, created_at, now, now, backoff_base,
    payload_day, priority, max_attempts, has_retry_policy, namespace, goal, target_worker, required_capability, last_error,
    traceparent,
    -- The last attempt joins those before it. Twenty are kept, however often this happens.
    CASE WHEN claimed_at IS NULL THEN past_attempts ELSE jsonb_path_query_array(
        coalesce(past_attempts, '[]') || jsonb_build_object(
            'attempt', claim_attempts, 'worker', worker_id, 'tenant', claimed_by, 'claimed_at', extract(epoch FROM claimed_at),
            'ended_at', extract(epoch FROM finished_at), 'outcome', 'failed', 'error', last_error, 'claim', claim_hash
        ), '$[last - 19 to last]') END
FROM gone, clock
RETURNING id
