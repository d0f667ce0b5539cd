-- Brings dead intents back, as intents/retry.sql does one: open, no attempts used, each due after a while. Those that somebody else
-- holds or has brought back meanwhile are left out. Says which came back, and when the last is due.
--
-- $1 ids  $2 when each died (finds its partition)  $3..$6 lanes of each (own with goal, own, public with goal, public; the last two NULL:
-- private)  $7 seconds until each is due
-- Index: primary key of each partition of finished. totals_progress and the tenants' quotas are locked already. Never due in the
-- past: low-water marks look for what comes late, not for what comes early.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::double precision[]
    ) AS asked (id, finished_at, own_goal_lane, own_lane, public_goal_lane, public_lane, due_in)
), free AS MATERIALIZED (
    SELECT asked.*
    FROM asked, LATERAL (
        SELECT
        FROM finished
        WHERE id = asked.id AND finished_at = asked.finished_at AND state = 'dead'
        FOR UPDATE SKIP LOCKED
    ) AS dead
), gone AS (
    DELETE FROM finished
    USING free
    WHERE finished.id = ANY (ARRAY[free.id]) AND finished.finished_at = free.finished_at
    RETURNING finished.*, free.own_goal_lane, free.own_lane, free.public_goal_lane, free.public_lane, free.due_in
), uncounted AS (
    UPDATE finished_totals AS total
    SET count = total.count - lost.count
    FROM (
        SELECT (finished_at AT TIME ZONE 'UTC')::date AS day, namespace, count(*) AS count
        FROM gone
        WHERE finished_at <= (SELECT finished_until FROM totals_progress)
        GROUP BY 1, 2
    ) AS lost
    WHERE total.day = lost.day AND total.namespace = lost.namespace AND total.state = 'dead'
), counted AS (
    UPDATE quotas
    SET open_intents = open_intents + back.count
    FROM (SELECT tenant_id, count(*) AS count FROM gone GROUP BY tenant_id) AS back
    WHERE quotas.tenant_id = ANY (ARRAY[back.tenant_id])
), lanes AS (
    INSERT INTO lane_priorities (lane, priority)
    SELECT DISTINCT lane, priority
    FROM gone, unnest(ARRAY[own_goal_lane, own_lane, public_goal_lane, public_lane]) AS lane
    WHERE lane IS NOT NULL
    ORDER BY lane, priority
    ON CONFLICT (lane, priority) DO UPDATE SET used_at = clock_timestamp()
), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), back AS (
    INSERT INTO intents (
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at, backoff_base,
        payload_day, priority, max_attempts, has_retry_policy, namespace, goal, target_worker, required_capability, last_error,
        traceparent, past_attempts
    )
    SELECT
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at,
        now + make_interval(secs => due_in), now + make_interval(secs => due_in), backoff_base,
        payload_day, priority, max_attempts, has_retry_policy, namespace, goal, target_worker, required_capability, last_error,
        traceparent,
        -- The last attempt joins those before it. Twenty are kept, however often this happens.
        CASE WHEN claimed_at IS NULL THEN past_attempts ELSE jsonb_path_query_array(
            coalesce(past_attempts, '[]') || jsonb_build_object(
                'attempt', claim_attempts, 'worker', worker_id, 'tenant', claimed_by,
                'claimed_at', extract(epoch FROM claimed_at), 'ended_at', extract(epoch FROM finished_at),
                'outcome', 'failed', 'error', last_error, 'claim', claim_hash
            ), '$[last - 19 to last]') END
    FROM gone, clock
    RETURNING id, visible_at
)
SELECT coalesce(array_agg(id), '{}') AS ids, extract(epoch FROM max(visible_at))::double precision AS last_due_at FROM back
