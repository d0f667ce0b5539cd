-- Stores new intents and their payloads, each within its tenant's quota and once for its idempotency key. Follows
-- admission/admit.sql, whose $1 to $4 are the requests.
--
-- One entry for each intent: $5 number of its request  $6 id  $7..$10 lanes (own with goal, own, public with goal, public; the
-- last two NULL: private)  $11 namespace  $12 goal  $13 priority  $14 delay in seconds  $15 max_attempts  $16 backoff_base in
-- seconds  $17 has_retry_policy  $18 target_worker  $19 required_capability  $20 payload  $21 reward
-- $22 hash of its idempotency key (or NULL; none twice)  $23 hash of what the key stands for
-- $24 by request: unfinished intents allowed (tenant 0 is never counted)
-- $25 lanes, $26 priorities in them, that may be new
--
-- First row: the verdicts. Then a row for each intent that was stored (`outcome` 0), does not fit into its tenant's quota (1),
-- or whose key was used before (2; with what for, and the id that was named then). No row: somebody uses its key or its id
-- at this moment; this statement has waited for him, and the next will see what he has stored.
--
-- The ids are made by the caller, so that after a lost answer the same call finds out what became of it: ON CONFLICT makes it
-- wait for the lost transaction and then store nothing.
-- Intents of one statement are a microsecond apart, in the order in which they came, and none lies in the future.
--
-- Indexes: primary keys of intents, quotas, idempotency_keys, lane_priorities and of one partition of payloads.
-- Traps: quotas are locked before they are read, in ascending order. Idempotency keys are kept as nonces are (see admit.sql);
-- the next period's slot is taken only with this one's. Where that one was taken by somebody else meanwhile, nothing of this
-- may be committed: the division by zero.
, day AS MATERIALIZED (
    SELECT floor(unix / 86400)::bigint AS number, unix - 86400 * floor(unix / 86400) >= 86370 AS ending FROM period
), items AS MATERIALIZED (
    SELECT new.*, ($1::bigint[])[request] AS tenant
    FROM unnest(
        $5::integer[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
        $13::smallint[], $14::double precision[], $15::smallint[], $16::double precision[], $17::boolean[], $18::text[],
        $19::text[], $20::bytea[], $21::bytea[], $22::uuid[], $23::uuid[]
    ) WITH ORDINALITY AS new (
        request, id, own_goal_lane, own_lane, public_goal_lane, public_lane, namespace, goal,
        priority, delay, max_attempts, backoff_base, has_retry_policy, target_worker,
        required_capability, payload, reward, key, stands_for, item
    )
    WHERE (SELECT verdicts FROM verdicts)[request] = 0
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
), held AS MATERIALIZED (
    SELECT tenant_id, open_intents
    FROM quotas
    WHERE tenant_id = ANY (ARRAY(SELECT tenant FROM items WHERE tenant <> 0))
    ORDER BY tenant_id
    FOR UPDATE
), judged AS MATERIALIZED (
    SELECT items.item, items.id, items.key, items.stands_for,
           CASE
               WHEN repeated.item IS NOT NULL THEN 2
               WHEN items.tenant <> 0
                   AND row_number() OVER (PARTITION BY items.tenant, repeated.item IS NULL ORDER BY items.item)
                       > ($24::bigint[])[items.request] - coalesce(held.open_intents, ($24::bigint[])[items.request]) THEN 1
               ELSE 0
           END AS outcome
    FROM items
    LEFT JOIN repeated ON repeated.item = items.item
    LEFT JOIN held ON held.tenant_id = items.tenant
), taken AS (
    INSERT INTO idempotency_keys (slot, hash, request_hash, intent_id)
    SELECT (number % 4)::smallint, key, stands_for, id
    FROM judged, day
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
), stored_intents AS (
    INSERT INTO intents (
        id, tenant_id, own_goal_lane, own_lane, public_goal_lane, public_lane, created_at, run_at, visible_at, payload_day,
        namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability
    )
    SELECT id, tenant, own_goal_lane, own_lane, public_goal_lane, public_lane, at,
           at + make_interval(secs => delay), at + make_interval(secs => delay), (now AT TIME ZONE 'UTC')::date,
           namespace, goal, priority, max_attempts, backoff_base, has_retry_policy, target_worker, required_capability
    FROM (
        SELECT items.*, now, now - (cardinality($6::uuid[]) - items.item) * interval '1 microsecond' AS at
        FROM items
        JOIN judged ON judged.item = items.item, clock
        WHERE judged.outcome = 0 AND (items.key IS NULL OR items.key IN (SELECT hash FROM taken))
    ) AS new
    ON CONFLICT (id) DO NOTHING
    RETURNING id, tenant_id, payload_day
), stored_payloads AS (
    INSERT INTO payloads (day, id, payload, reward)
    SELECT stored_intents.payload_day, items.id, items.payload, items.reward
    FROM stored_intents
    JOIN items ON items.id = stored_intents.id
), quota AS (
    UPDATE quotas
    SET open_intents = quotas.open_intents + new.count
    FROM (SELECT tenant_id, count(*) AS count FROM stored_intents WHERE tenant_id <> 0 GROUP BY tenant_id) AS new
    WHERE quotas.tenant_id = new.tenant_id
)
SELECT verdicts,
       CASE
           WHEN (SELECT ending FROM day) AND (SELECT count(*) FROM ahead) < (SELECT count(*) FROM taken)
               THEN 1 / (0 * (SELECT count(*) FROM taken))
       END::integer AS outcome,
       NULL::uuid AS id, NULL::uuid AS request_hash, NULL::uuid AS intent_id
FROM verdicts
UNION ALL
SELECT NULL, 0, id, NULL, NULL FROM stored_intents
UNION ALL
SELECT NULL, outcome, judged.id, repeated.request_hash, repeated.intent_id
FROM judged
LEFT JOIN repeated ON repeated.item = judged.item
WHERE outcome <> 0
