-- What only operators see of one intent, unfinished or finished. intents/find.sql has the rest.
--
-- $1 id
-- Index: primary key of intents and of each partition of finished.
SELECT owner, extract(epoch FROM clock_timestamp())::double precision AS now,
       extract(epoch FROM claimed_at)::double precision AS claimed_at,
       extract(epoch FROM lease_until)::double precision AS lease_until,
       traceparent, past_attempts::text AS past_attempts, unfinished
FROM (
    SELECT tenant_id, claimed_at, lease_until, traceparent, past_attempts, true AS unfinished FROM intents WHERE id = $1
    UNION ALL
    SELECT tenant_id, claimed_at, NULL, traceparent, past_attempts, false FROM finished WHERE id = $1
) AS intent
LEFT JOIN tenants ON tenants.id = ANY (ARRAY[tenant_id])
