-- What may stand in the way of an open intent: pauses, limits, workers that are not there, others that come first. No row: it is
-- not unfinished any more.
--
-- $1 id  $2 time to live of an unclaimed intent in seconds  $3 requests a minute of tenants without a limit of their own
-- Index: primary keys of intents, pauses, workers, tenants and rate_windows; workers_seen_at (20,000 entries at most);
-- intents_own_goal by way of lane_priorities, so that of those in front only what is due is read, 1,001 of each priority at most.
-- None for the keys of a tenant: all keys are read, for private intents only.
-- The rate is reckoned as admission does (admission/admit.sql); the root key, tenant 0, has none.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), intent AS MATERIALIZED (
    SELECT tenant_id, own_goal_lane, public_lane IS NOT NULL AS public, priority, visible_at, namespace, goal, target_worker,
           required_capability
    FROM intents
    WHERE id = $1
), recent AS MATERIALIZED (
    SELECT tenant_id, namespace, worker_id, goals, asked_at, capabilities, able_at
    FROM workers
    WHERE seen_at > (SELECT now FROM clock) - interval '5 minutes'
    ORDER BY seen_at DESC
    LIMIT 20000
), asking AS MATERIALIZED (
    -- Those who may claim it, by whom they are and where they ask.
    SELECT recent.tenant_id,
           -- At its last sign of life, or in the last five minutes.
           (goals IS NULL OR intent.goal = ANY (goals) OR coalesce(greatest(
               (asked_at ->> intent.goal)::double precision, (asked_at ->> '')::double precision
           ) > extract(epoch FROM now) - 300, false)) AND (required_capability IS NULL OR capable) AS asks,
           capable
    FROM clock, intent, recent, LATERAL (
        SELECT required_capability = ANY (capabilities)
                   OR coalesce((able_at ->> required_capability)::double precision > extract(epoch FROM now) - 300, false)
                   AS capable
    ) AS able
    WHERE recent.namespace = intent.namespace AND (recent.tenant_id = intent.tenant_id OR intent.public)
      AND (target_worker IS NULL OR worker_id = target_worker)
), claimers AS MATERIALIZED (
    -- Whose requests could claim it: its publisher's, and if it is public those of all who ask.
    SELECT tenant_id FROM intent WHERE NOT public
    UNION
    SELECT asking.tenant_id FROM intent, asking WHERE public AND asks
), rated AS MATERIALIZED (
    SELECT tenant_id, allowed, used >= allowed AS is_limited, free_at
    FROM claimers, LATERAL (
        SELECT CASE WHEN tenants.id <> 0 THEN coalesce(rate_limit_per_minute, $3) END AS allowed
        FROM tenants
        WHERE tenants.id = ANY (ARRAY[claimers.tenant_id])
    ) AS limits, LATERAL (
        -- When the last of those leaves the window without which it is not full: with a limit that was lowered not the oldest.
        SELECT coalesce(sum(hit), 0) AS used, max(second) FILTER (WHERE since >= allowed) + 61 AS free_at
        FROM (
            SELECT second, hit, sum(hit) OVER (ORDER BY second DESC) AS since
            FROM rate_windows, clock, unnest(seconds, hits) AS old (second, hit)
            WHERE rate_windows.tenant_id = ANY (ARRAY[claimers.tenant_id]) AND second > floor(extract(epoch FROM now))::bigint - 61
        ) AS counted
    ) AS hits
)
SELECT EXISTS (SELECT FROM pauses WHERE pauses.namespace = intent.namespace AND pauses.goal = '') AS namespace_paused,
       EXISTS (SELECT FROM pauses WHERE pauses.namespace = intent.namespace AND pauses.goal = intent.goal) AS goal_paused,
       EXISTS (SELECT FROM asking) AS fitting,
       (
           SELECT extract(epoch FROM seen_at)::double precision
           FROM workers
           WHERE workers.tenant_id = intent.tenant_id AND workers.namespace = intent.namespace
             AND workers.worker_id = target_worker
       ) AS target_seen_at,
       EXISTS (SELECT FROM asking WHERE capable) AS capable,
       EXISTS (SELECT FROM asking WHERE asks) AS asked,
       -- NULL: there is one who is not at the limit, or nobody at all.
       (SELECT CASE WHEN bool_and(coalesce(is_limited, false)) THEN min(free_at)::double precision END FROM rated)
           AS limited_until,
       (SELECT max(allowed) FROM rated) AS rate_limit,
       -- Whoever asked may have done so with a key that is revoked by now.
       NOT public AND intent.tenant_id <> 0 AND NOT EXISTS (
           SELECT FROM api_keys
           WHERE api_keys.tenant_id = intent.tenant_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now)
             AND (scopes IS NULL OR 'work' = ANY (scopes)) AND (namespaces IS NULL OR intent.namespace = ANY (namespaces))
       ) AS keyless,
       (
           SELECT count(*)
           FROM (
               SELECT
               FROM lane_priorities AS used, LATERAL (
                   SELECT
                   FROM intents AS other
                   WHERE other.own_goal_lane = intent.own_goal_lane AND other.priority = used.priority
                     AND other.visible_at > now - make_interval(secs => $2::double precision)
                     AND other.visible_at < CASE
                         WHEN used.priority > intent.priority THEN now ELSE least(now, intent.visible_at)
                     END
                   -- As in due.sql.
                   ORDER BY other.visible_at
                   LIMIT 1001
               ) AS ahead
               WHERE used.lane = intent.own_goal_lane AND used.priority >= intent.priority
               LIMIT 1001
           ) AS bounded
       ) AS ahead
FROM intent, clock
