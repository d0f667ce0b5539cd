-- Stores new intents and their payloads where nothing can keep any of them out: no tenant of the flight has limits, and there are
-- neither idempotency keys nor lanes that may be new. Follows admission/admit_all.sql, whose $1 to $4 are the requests. $5 to $21 and $27
-- are those of publish.sql, where the rest is said; $22 to $26 are given in vain. One row: the verdicts.
, stored_intents AS (
    INSERT INTO intents (
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at, payload_day,
        namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability,
        traceparent
    )
    SELECT id, ($1::bigint[])[request], own_goal_lane, own_lane, public_goal_lane, public_lane,
           now + (item - cardinality($6::uuid[])) * interval '1 microsecond',
           now + (item - cardinality($6::uuid[])) * interval '1 microsecond' + make_interval(secs => delay),
           now + (item - cardinality($6::uuid[])) * interval '1 microsecond' + make_interval(secs => delay),
           day, namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability,
           traceparent
    FROM fits, unnest(
        $5::integer[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
        $13::smallint[], $14::double precision[], $15::smallint[], $16::double precision[], $17::boolean[], $18::text[],
        $19::text[], $27::text[]
    ) WITH ORDINALITY AS new (
        request, id, own_goal_lane, own_lane, public_goal_lane, public_lane, namespace, goal,
        priority, delay, max_attempts, backoff_base, has_retry_policy, target_worker,
        required_capability, traceparent, item
    )
), stored_payloads AS (
    INSERT INTO {payloads} (day, id, payload, reward)
    SELECT day, id, payload, reward
    FROM fits, unnest($6::uuid[], $20::bytea[], $21::bytea[]) AS new (id, payload, reward)
)
SELECT verdicts, NULL::integer AS outcome, NULL::uuid AS id, NULL::uuid AS request_hash, NULL::uuid AS intent_id
FROM verdicts
