-- What may stand in the way of an open intent: pauses, workers that are not there, others that come first. No row: it is not
-- unfinished any more.
--
-- $1 id  $2 time to live of an unclaimed intent in seconds
-- Index: primary keys of intents, pauses and workers; workers_seen_at (20,000 entries at most); intents_own_goal by way of
-- lane_priorities, so that of those in front only what is due is read, 1,001 of each priority at most.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), intent AS MATERIALIZED (
    SELECT tenant_id, own_goal_lane, public_lane IS NOT NULL AS public, priority, visible_at, namespace, goal, target_worker,
           required_capability
    FROM intents
    WHERE id = $1
), recent AS MATERIALIZED (
    SELECT tenant_id, namespace, worker_id, goals, capabilities
    FROM workers
    WHERE seen_at > (SELECT now FROM clock) - interval '5 minutes'
    ORDER BY seen_at DESC
    LIMIT 20000
), asking AS MATERIALIZED (
    -- Those who may claim it, by whom they are and where they ask.
    SELECT capabilities, goals IS NULL OR intent.goal = ANY (goals) AS asks
    FROM intent, recent
    WHERE recent.namespace = intent.namespace AND (recent.tenant_id = intent.tenant_id OR intent.public)
      AND (target_worker IS NULL OR worker_id = target_worker)
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
       EXISTS (SELECT FROM asking WHERE required_capability = ANY (capabilities)) AS capable,
       EXISTS (SELECT FROM asking WHERE asks AND (required_capability IS NULL OR required_capability = ANY (capabilities)))
           AS asked,
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
                   LIMIT 1001
               ) AS ahead
               WHERE used.lane = intent.own_goal_lane AND used.priority >= intent.priority
               LIMIT 1001
           ) AS bounded
       ) AS ahead
FROM intent, clock
