-- Stores new intents and their payloads, each within its tenant's quota and once for its idempotency key. Follows
-- admission/admit.sql, whose $1 to $4 are the requests. Where nothing can keep an intent out, publish_all.sql does.
--
-- One entry for each intent: $5 number of its request  $6 id  $7..$10 lanes (own with goal, own, public with goal, public; the
-- last two NULL: private)  $11 namespace  $12 goal  $13 priority  $14 delay in seconds  $15 max_attempts  $16 backoff_base in
-- seconds  $17 has_retry_policy  $18 target_worker  $19 required_capability  $20 payload  $21 reward
-- $22 hash of its idempotency key (or NULL; none twice)  $23 hash of what the key stands for
-- $24 by request: unfinished intents allowed (tenant 0 is never counted)
-- $25 lanes, $26 priorities in them, that may be new
-- $27 for each intent: the traceparent of its publication (or NULL)
--
-- First row: the verdicts. Then a row for each intent that does not fit into its tenant's quota (`outcome` 1), or whose key
-- was used before (2; with what for, and the id that was named then). Those without a row were stored; but where there are keys
-- a row says so (0), and no row means that somebody has used the key at this moment: this statement has waited for him, and
-- the next will see what he has stored.
--
-- The ids are made by the caller, so that after a lost answer the same call finds out what became of it: it waits for the
-- lost transaction and then fails, as the id is taken.
-- Intents of one statement are a microsecond apart, in the order in which they came, and none lies in the future.
--
-- Parts are left out when no tenant of the flight has limits, and when it has neither idempotency keys nor new lanes (--if);
-- with neither, nothing but admission stands between an intent and the table (--if outcomes: with either).
-- Indexes: primary keys of intents, quotas, idempotency_keys, lane_priorities and of one partition of payloads.
-- Traps: quotas are locked before they are read, in ascending order. Idempotency keys are kept as nonces are (see admit.sql);
-- the next period's slot is taken only with this one's. Where that one was taken by somebody else meanwhile, nothing of this
-- may be committed: the division by zero.
--if keys
, day AS MATERIALIZED (
    SELECT floor(unix / 86400)::bigint AS number, unix - 86400 * floor(unix / 86400) >= 86370 AS ending FROM period
)
--end
--if outcomes
, items AS MATERIALIZED (
--else
, items AS (
--end
    SELECT new.*, ($1::bigint[])[request] AS tenant
    FROM unnest(
        $5::integer[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
        $13::smallint[], $14::double precision[], $15::smallint[], $16::double precision[], $17::boolean[], $18::text[],
        $19::text[], $20::bytea[], $21::bytea[], $22::uuid[], $23::uuid[], $27::text[]
    ) WITH ORDINALITY AS new (
        request, id, own_goal_lane, own_lane, public_goal_lane, public_lane, namespace, goal,
        priority, delay, max_attempts, backoff_base, has_retry_policy, target_worker,
        required_capability, payload, reward, key, stands_for, traceparent, item
    )
    WHERE (SELECT verdicts FROM verdicts)[request] = 0
      -- Always true: every variant has the same parameters.
      AND $24::bigint[] IS NOT NULL AND $25::bigint[] IS NOT NULL AND $26::smallint[] IS NOT NULL
--if keys
), repeated AS MATERIALIZED (
    SELECT items.item, used.request_hash, used.intent_id
    FROM items, day, LATERAL (
        SELECT request_hash, intent_id
        FROM idempotency_keys
        WHERE hash = items.key
          AND slot = ANY (ARRAY[number % 4, (number + 1) % 4, (number + 3) % 4]::smallint[])
        LIMIT 1
    ) AS used
    WHERE items.key IS NOT NULL
--end
--if limits
), held AS MATERIALIZED (
    SELECT tenant_id, open_intents
    FROM quotas
    WHERE tenant_id = ANY (ARRAY(SELECT tenant FROM items WHERE tenant <> 0))
    ORDER BY tenant_id
    FOR UPDATE
), placed_in_quota AS MATERIALIZED (
    -- What the tenant has already is counted as if it had come first.
    SELECT item,
           sum(weight) OVER (PARTITION BY tenant ORDER BY item) <= allowed
               AND bool_or(item = 0) OVER (PARTITION BY tenant) AS fits
    FROM (
        SELECT 0 AS item, tenant_id AS tenant, open_intents AS weight, 0 AS allowed FROM held
        UNION ALL
        SELECT item, tenant, 1, ($24::bigint[])[request]
        FROM items
        WHERE tenant <> 0
--if keys
          AND item NOT IN (SELECT item FROM repeated)
--end
    ) AS weighed
--end
--if outcomes
), outcomes AS MATERIALIZED (
    SELECT item, id, key, stands_for,
           CASE
--if keys
               WHEN item IN (SELECT item FROM repeated) THEN 2
--end
--if limits
               WHEN item IN (SELECT item FROM placed_in_quota WHERE item > 0 AND NOT fits) THEN 1
--end
               WHEN true THEN 0
           END AS outcome
    FROM items
--end
--if keys
), taken AS (
    INSERT INTO idempotency_keys (slot, hash, request_hash, intent_id)
    SELECT (number % 4)::smallint, key, stands_for, id
    FROM outcomes, day
    WHERE outcome = 0 AND key IS NOT NULL
    ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING hash, request_hash, intent_id
), ahead AS (
    INSERT INTO idempotency_keys (slot, hash, request_hash, intent_id)
    SELECT ((number + 1) % 4)::smallint, hash, request_hash, intent_id
    FROM taken, day
    WHERE ending
    ORDER BY hash
    ON CONFLICT DO NOTHING
    RETURNING hash
), lanes AS (
    INSERT INTO lane_priorities AS kept (lane, priority)
    SELECT lane, priority FROM unnest($25::bigint[], $26::smallint[]) AS new (lane, priority) ORDER BY lane, priority
    ON CONFLICT (lane, priority) DO UPDATE
    SET used_at = clock_timestamp()
    WHERE kept.used_at < clock_timestamp() - interval '1 hour'
--end
), accepted AS MATERIALIZED (
    SELECT items.*, now, (now AT TIME ZONE 'UTC')::date AS day,
           now - (cardinality($6::uuid[]) - items.item) * interval '1 microsecond' AS at
    FROM items, clock
--if outcomes
    WHERE item NOT IN (SELECT item FROM outcomes WHERE outcome <> 0)
--end
--if keys
      AND (key IS NULL OR key IN (SELECT hash FROM taken))
--end
), stored_intents AS (
    INSERT INTO intents (
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at, payload_day,
        namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability,
        traceparent
    )
    SELECT id, tenant, own_goal_lane, own_lane, public_goal_lane, public_lane, at,
           at + make_interval(secs => delay), at + make_interval(secs => delay), day,
           namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability,
           traceparent
    FROM accepted
), stored_payloads AS (
    INSERT INTO {payloads} (day, id, payload, reward) SELECT day, id, payload, reward FROM accepted
--if limits
), quota AS (
    UPDATE quotas
    SET open_intents = quotas.open_intents + new.count
    FROM (SELECT tenant, count(*) AS count FROM accepted WHERE tenant <> 0 GROUP BY tenant) AS new
    WHERE quotas.tenant_id = ANY (ARRAY[new.tenant])
--end
)
SELECT verdicts,
--if keys
       CASE
           WHEN (SELECT ending FROM day) AND (SELECT count(*) FROM ahead) < (SELECT count(*) FROM taken)
               THEN 1 / (0 * (SELECT count(*) FROM taken))
       END::integer AS outcome,
--else
       NULL::integer AS outcome,
--end
       NULL::uuid AS id, NULL::uuid AS request_hash, NULL::uuid AS intent_id
FROM verdicts
--if keys
UNION ALL
SELECT NULL, 0, id, NULL, NULL FROM accepted
--end
--if outcomes
UNION ALL
SELECT NULL, outcome, id,
--if keys
       (SELECT request_hash FROM repeated WHERE repeated.item = outcomes.item),
       (SELECT intent_id FROM repeated WHERE repeated.item = outcomes.item)
--else
       NULL, NULL
--end
FROM outcomes
WHERE outcome <> 0
--end
