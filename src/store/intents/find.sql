-- One intent, unfinished or finished, as it is seen from outside: a claim whose lease has ended is open again (from the
-- moment at which it may be claimed), or dead if it was the last allowed; an open one past its time to live is dead.
--
-- $1 id  $2 time to live of an unclaimed intent in seconds
-- Index: primary keys of intents and of each partition of finished (about ten probes).
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
)
SELECT id, tenant_id, claimed_by, namespace, goal, priority, public_lane IS NOT NULL AS public, claim_attempts,
       max_attempts, target_worker, required_capability, worker_id, payload_day::text AS payload_day,
       CASE
           WHEN state = 'claimed' AND lease_until > now THEN 'claimed'
           WHEN claim_attempts >= max_attempts OR visible_at <= now - make_interval(secs => $2::double precision)
               THEN 'dead'
           ELSE 'open'
       END AS state,
       extract(epoch FROM created_at)::double precision AS created_at,
       extract(epoch FROM CASE
           WHEN state = 'claimed' AND lease_until <= now AND visible_at < 'infinity' THEN visible_at
           ELSE run_at
       END)::double precision AS run_at,
       extract(epoch FROM CASE WHEN lease_until > now THEN lease_until END)::double precision AS claim_expires_at,
       NULL::double precision AS completed_at,
       last_error, NULL::bytea AS result, NULL::text AS result_type
FROM intents, clock
WHERE id = $1
UNION ALL
SELECT id, tenant_id, claimed_by, namespace, goal, priority, public, claim_attempts,
       max_attempts, target_worker, required_capability, worker_id, payload_day::text AS payload_day,
       state::text,
       extract(epoch FROM created_at)::double precision,
       extract(epoch FROM run_at)::double precision,
       NULL,
       extract(epoch FROM finished_at)::double precision,
       last_error, result, result_type
FROM finished
WHERE id = $1
