-- Claims the next intent, of one goal or of any. One text for both: {own} and {public} stand for the pair of lane columns,
-- own_goal_lane and public_goal_lane, or own_lane and public_lane.
--
-- $1 own lanes  $2 public lanes (each: every mix of no target or this worker, no capability or one of the worker's)
-- $3 namespace  $4 goal (NULL: any)  $5 worker that claims (or NULL)  $6 its capabilities
-- $7 tenant that claims  $8 hash of the new claim token  $9 length of the lease in seconds
-- $10 time to live of an unclaimed intent in seconds  $11 tenant whose intents the own lanes stand for (or NULL)
--
-- Indexes: intents_own_goal, intents_public_goal, or intents_own, intents_public. Within a lane the intents stand by
-- priority and then by the moment from which they may be claimed, so those not yet due (delayed, leased, backing off)
-- stand behind the due ones of their priority, but before all of a lower priority. Hence one step for each priority that
-- occurs in the lane (*_priorities hops from one to the next), then one look for its first due row (heads), and only
-- then a lock, on one row of the best head (picked).
--
-- Traps:
--   * The row must be locked in a CTE of its own: as a join or sub-select of the UPDATE the planner may lock more rows
--     than it takes, and a lock on the heads of all lanes would hide them from every other claim.
--   * Lanes are hashes: what they stand for is compared once more on the row that is locked.
--   * The payload may have been moved to another day since this statement began. Then it comes back NULL, and is looked for
--     by the day that comes with it.
--   * clock_timestamp(), not now(): the transaction may have waited since it began.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), own_priorities AS (
    SELECT lane, top.priority
    FROM unnest($1::bigint[]) AS lane
    CROSS JOIN LATERAL (
        SELECT priority FROM intents WHERE {own} = lane ORDER BY priority DESC LIMIT 1
    ) AS top
    UNION ALL
    SELECT lane, next.priority
    FROM own_priorities AS above
    CROSS JOIN LATERAL (
        SELECT priority FROM intents
        WHERE {own} = lane AND priority < above.priority ORDER BY priority DESC LIMIT 1
    ) AS next
), public_priorities AS (
    SELECT lane, top.priority
    FROM unnest($2::bigint[]) AS lane
    CROSS JOIN LATERAL (
        SELECT priority FROM intents WHERE {public} = lane ORDER BY priority DESC LIMIT 1
    ) AS top
    UNION ALL
    SELECT lane, next.priority
    FROM public_priorities AS above
    CROSS JOIN LATERAL (
        SELECT priority FROM intents
        WHERE {public} = lane AND priority < above.priority ORDER BY priority DESC LIMIT 1
    ) AS next
), heads AS MATERIALIZED (
    SELECT true AS own, lane, row.*
    FROM own_priorities AS own
    CROSS JOIN LATERAL (
        SELECT priority, visible_at, claim_attempts, created_at, id
        FROM intents
        WHERE {own} = lane AND priority = own.priority
          AND visible_at <= (SELECT now FROM clock)
          AND visible_at > (SELECT now - make_interval(secs => $10::double precision) FROM clock)
        ORDER BY visible_at, claim_attempts, created_at, id
        LIMIT 1
    ) AS row
    UNION ALL
    SELECT false AS own, lane, row.*
    FROM public_priorities AS public
    CROSS JOIN LATERAL (
        SELECT priority, visible_at, claim_attempts, created_at, id
        FROM intents
        WHERE {public} = lane AND priority = public.priority
          AND visible_at <= (SELECT now FROM clock)
          AND visible_at > (SELECT now - make_interval(secs => $10::double precision) FROM clock)
        ORDER BY visible_at, claim_attempts, created_at, id
        LIMIT 1
    ) AS row
), picked AS MATERIALIZED (
    SELECT taken.id
    FROM (SELECT * FROM heads ORDER BY priority DESC, visible_at, claim_attempts, created_at, id) AS head
    CROSS JOIN LATERAL (
        SELECT id FROM (
            SELECT id
            FROM intents
            WHERE head.own AND tenant_id = $11 AND {own} = head.lane AND priority = head.priority
              AND visible_at <= (SELECT now FROM clock)
              AND visible_at > (SELECT now - make_interval(secs => $10::double precision) FROM clock)
              AND namespace = $3 AND ($4::text IS NULL OR goal = $4)
              AND (target_worker IS NULL OR target_worker = $5)
              AND (required_capability IS NULL OR required_capability = ANY ($6::text[]))
            ORDER BY visible_at, claim_attempts, created_at, id
            LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS own_row
        UNION ALL
        SELECT id FROM (
            SELECT id
            FROM intents
            WHERE NOT head.own AND {public} = head.lane AND priority = head.priority
              AND visible_at <= (SELECT now FROM clock)
              AND visible_at > (SELECT now - make_interval(secs => $10::double precision) FROM clock)
              AND namespace = $3 AND ($4::text IS NULL OR goal = $4)
              AND (target_worker IS NULL OR target_worker = $5)
              AND (required_capability IS NULL OR required_capability = ANY ($6::text[]))
            ORDER BY visible_at, claim_attempts, created_at, id
            LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS public_row
    ) AS taken
    LIMIT 1
)
UPDATE intents
SET state = 'claimed',
    claim_attempts = claim_attempts + 1,
    claim_hash = $8,
    claimed_by = $7,
    worker_id = $5,
    lease_until = now + make_interval(secs => $9::double precision),
    visible_at = CASE
        WHEN claim_attempts + 1 >= max_attempts THEN 'infinity'
        ELSE now + make_interval(
            secs => $9::double precision + backoff_base * 2.0 ^ (claim_attempts + 1) + 2 * random())
    END
FROM picked, clock
WHERE intents.id = picked.id
RETURNING intents.id, namespace, goal, claim_attempts, priority, target_worker, required_capability,
    intents.payload_day::text AS payload_day,
    (SELECT payload FROM payloads WHERE payloads.day = intents.payload_day AND payloads.id = intents.id) AS payload
