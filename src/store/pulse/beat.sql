-- A replica's sign of life, with what it has done since the last one and the workers it has seen.
--
-- $1 replica  $2 its host  $3 its version
-- By goal: $4 namespace  $5 goal  $6 published  $7 claimed  $8 fulfilled  $9 failed  $10 dead
-- $11 waited, $12 worked, $13 took: counts by bucket, as text ('{1,2}')
-- By worker: $14 tenant  $15 namespace  $16 name  $17 goals, as a JSON list (NULL: any)  $18 capabilities, as a JSON list
-- $19 intents claimed
-- $20 when the sign of life before was given (NULL: there was none)
-- $21 goals of one worker that are told apart  $22 capabilities of one that are remembered
-- Gives the database's clock, and when this one was given. NULL: it was given already, by a try whose answer was lost, or one is
-- there that came after it; then nothing is written. A late try waits for the row of the replica, and finds it changed.
-- Other replicas see the same workers: what they wrote of the last five minutes stays.
-- Indexes: primary keys. Workers are written in the order of their keys, so that two replicas cannot wait for each other.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), alive AS (
    INSERT INTO replicas AS before (id, host, version) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp() WHERE before.seen_at = $20::timestamptz
    RETURNING seen_at
), done AS (
    INSERT INTO activity AS kept (
        at, replica, namespace, goal, published, claimed, fulfilled, failed, dead, waited, worked, took
    )
    SELECT to_timestamp(10 * floor(extract(epoch FROM now) / 10)), $1, namespace, goal, published, claimed, fulfilled, failed,
           dead, waited::bigint[], worked::bigint[], took::bigint[]
    FROM alive, clock, unnest(
        $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[],
        $12::text[], $13::text[]
    ) AS by_goal (namespace, goal, published, claimed, fulfilled, failed, dead, waited, worked, took)
    -- Two beats within one step, after a late one.
    ON CONFLICT (at, replica, namespace, goal) DO UPDATE
    SET published = kept.published + EXCLUDED.published, claimed = kept.claimed + EXCLUDED.claimed,
        fulfilled = kept.fulfilled + EXCLUDED.fulfilled, failed = kept.failed + EXCLUDED.failed,
        dead = kept.dead + EXCLUDED.dead,
        waited = ARRAY(SELECT one + other FROM unnest(kept.waited, EXCLUDED.waited) AS both_steps (one, other)),
        worked = ARRAY(SELECT one + other FROM unnest(kept.worked, EXCLUDED.worked) AS both_steps (one, other)),
        took = ARRAY(SELECT one + other FROM unnest(kept.took, EXCLUDED.took) AS both_steps (one, other))
), seen AS (
    INSERT INTO workers AS kept (tenant_id, namespace, worker_id, goals, asked_at, capabilities, able_at, claims)
    SELECT tenant, namespace, name,
           CASE WHEN goals IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(goals::jsonb)) END,
           (
               SELECT coalesce(jsonb_object_agg(goal, floor(extract(epoch FROM now))), '{}')
               FROM jsonb_array_elements_text(coalesce(goals::jsonb, '[""]')) AS goal
           ),
           ARRAY(SELECT jsonb_array_elements_text(capabilities::jsonb)),
           (
               SELECT coalesce(jsonb_object_agg(capability, floor(extract(epoch FROM now))), '{}')
               FROM jsonb_array_elements_text(capabilities::jsonb) AS capability
           ), claims
    FROM alive, clock, unnest($14::bigint[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bigint[])
        AS worker (tenant, namespace, name, goals, capabilities, claims)
    ORDER BY tenant, namespace, name
    ON CONFLICT (tenant_id, namespace, worker_id) DO UPDATE
    SET goals = EXCLUDED.goals, capabilities = EXCLUDED.capabilities, seen_at = clock_timestamp(),
        claims = kept.claims + EXCLUDED.claims,
        asked_at = (
            SELECT CASE WHEN count(*) <= $21::bigint THEN coalesce(jsonb_object_agg(goal, at), '{}')
                        ELSE jsonb_build_object('', floor(extract(epoch FROM EXCLUDED.seen_at))) END
            FROM jsonb_each(kept.asked_at || EXCLUDED.asked_at) AS of_both (goal, at)
            WHERE at::double precision > extract(epoch FROM EXCLUDED.seen_at) - 300
        ),
        able_at = (
            SELECT coalesce(jsonb_object_agg(capability, at), '{}')
            FROM (
                SELECT capability, at
                FROM jsonb_each(kept.able_at || EXCLUDED.able_at) AS of_both (capability, at)
                WHERE at::double precision > extract(epoch FROM EXCLUDED.seen_at) - 300
                ORDER BY at::double precision DESC, capability
                LIMIT $22::bigint
            ) AS latest
        )
)
SELECT extract(epoch FROM now)::double precision AS now, (SELECT seen_at FROM alive) AS seen_at FROM clock
