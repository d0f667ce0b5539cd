-- Ends claimed intents as fulfilled: out of `intents`, into `finished` with their results, and out of their tenants' quotas.
-- Follows admission/admit.sql (or, where it says `--if all`, admit_all.sql), whose $1 to $4 are the requests.
--
-- One entry for each intent: $5 number of its request  $6 id  $7 hash of the claim token (NULL: the tenant suffices)
-- $8 result  $9 its type
--
-- First row: the verdicts. Then a row for each entry that was done: its number, and what it was for those who count. The others
-- do not hold the claim they name: claimed again, another tenant's, a wrong token, unknown.
--
-- Index: primary keys of intents and quotas. A lease that has ended does not matter as long as nobody has claimed the intent
-- since. Quotas are locked in ascending order (see the lock order at that table): that of `ended`, which comes first in the join, as
-- nothing else can be looked up by the other. `ORDER BY` and `OFFSET 0` keep it so.
, items AS MATERIALIZED (
    SELECT ended.*, ($1::bigint[])[request] AS tenant, now
--if all
    FROM fits,
--else
    FROM clock,
--end
         unnest($5::integer[], $6::uuid[], $7::uuid[], $8::bytea[], $9::text[]) WITH ORDINALITY
             AS ended (request, id, token, result, result_type, item)
--if all
--else
    WHERE (SELECT verdicts FROM verdicts)[request] = 0
--end
), gone AS (
    DELETE FROM intents
    USING items
    WHERE intents.id = ANY (ARRAY[items.id]) AND intents.state = 'claimed'
      AND intents.claimed_by = items.tenant AND (items.token IS NULL OR intents.claim_hash = items.token)
    RETURNING item, intents.id, now, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, priority,
        claim_attempts, max_attempts, has_retry_policy, public_lane IS NOT NULL AS public, namespace, goal, target_worker,
        required_capability, worker_id, last_error, items.result, items.result_type, claimed_at, traceparent, past_attempts,
        claim_hash
), counted_off AS (
    UPDATE quotas
    SET open_intents = open_intents - ended.count
    FROM (
        SELECT tenant_id, count(*) AS count FROM gone WHERE tenant_id <> 0 GROUP BY tenant_id ORDER BY tenant_id OFFSET 0
    ) AS ended
    WHERE quotas.tenant_id = ANY (ARRAY[ended.tenant_id])
), kept AS (
    INSERT INTO {finished} (
        id, finished_at, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, state, priority,
        claim_attempts, max_attempts, has_retry_policy, public, namespace, goal, target_worker, required_capability,
        worker_id, last_error, result, result_type, claimed_at, traceparent, past_attempts, claim_hash
    )
    SELECT
        id, now, tenant_id, claimed_by, created_at, run_at, backoff_base, payload_day, 'fulfilled', priority,
        claim_attempts, max_attempts, has_retry_policy, public, namespace, goal, target_worker, required_capability,
        worker_id, last_error, result, result_type, claimed_at, traceparent, past_attempts, claim_hash
    FROM gone
)
SELECT verdicts, NULL::integer AS item, NULL::text AS namespace, NULL::text AS goal, NULL::double precision AS worked,
       NULL::double precision AS took, NULL::smallint AS claim_attempts, NULL::text AS worker_id, NULL::text AS traceparent
FROM verdicts
UNION ALL
SELECT NULL, item::integer, namespace, goal, extract(epoch FROM now - claimed_at)::double precision,
       extract(epoch FROM now - created_at)::double precision, claim_attempts, worker_id, traceparent
FROM gone
