-- Stores a new intent and its payload, within its tenant's quota. No row comes back when the quota is used up.
--
-- $1 id  $2 tenant  $3..$6 lanes (own with goal, own, public with goal, public; the last two NULL: private)
-- $7 namespace  $8 goal  $9 priority  $10 delay in seconds  $11 max_attempts  $12 backoff_base in seconds
-- $13 has_retry_policy  $14 target_worker  $15 required_capability  $16 payload  $17 reward
-- $18 unfinished intents allowed (NULL: any number; tenant 0 is never counted)
--
-- The id is made by the caller, so that after a lost answer to COMMIT the same call finds out what became of it:
-- ON CONFLICT makes it wait for the lost transaction and then store nothing; the caller then finds the id and rolls back.
--
-- Index: primary keys of intents, quotas and of one partition of payloads.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), counted AS (
    INSERT INTO quotas AS kept (tenant_id, open_intents)
    SELECT $2::bigint, 1
    WHERE $2::bigint <> 0
    ON CONFLICT (tenant_id) DO UPDATE
    SET open_intents = kept.open_intents + 1
    WHERE $18::bigint IS NULL OR kept.open_intents < $18::bigint
    RETURNING 1
), stored AS (
    INSERT INTO intents (
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane,
        created_at, run_at, visible_at, payload_day,
        namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability
    )
    SELECT $1, $2, $3, $4, $5, $6,
           now, now + make_interval(secs => $10::double precision), now + make_interval(secs => $10::double precision),
           (now AT TIME ZONE 'UTC')::date,
           $7, $8, $9, $11, $12, $13, $14, $15
    FROM clock
    WHERE $2::bigint = 0 OR EXISTS (SELECT FROM counted)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, payload_day
)
INSERT INTO payloads (day, id, payload, reward)
SELECT payload_day, id, $16, $17
FROM stored
RETURNING id
