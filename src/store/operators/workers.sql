-- A page of workers, those that were seen last first. Goals and capabilities: those of the last sign of life, and of the last five
-- minutes; no goal: any.
--
-- $1 seen before this (NULL: any time), $2..$4 or at that very moment, by a lower tenant, namespace and name
-- $5 how many
-- Index: workers_seen_at, backwards.
SELECT workers.tenant_id, owner, namespace, worker_id, asked.goals, able.capabilities, claims, workers.seen_at AS moment,
       extract(epoch FROM first_seen_at)::double precision AS first_seen_at,
       extract(epoch FROM seen_at)::double precision AS seen_at
FROM workers
LEFT JOIN tenants ON tenants.id = ANY (ARRAY[workers.tenant_id])
CROSS JOIN LATERAL (
    -- Without a row of its own that is '': anything.
    SELECT CASE WHEN NOT bool_or(goal = '') THEN array_agg(goal ORDER BY goal) END AS goals
    FROM (
        SELECT unnest(coalesce(workers.goals, ARRAY[''])) AS goal
        UNION
        SELECT goal FROM jsonb_each(asked_at) AS late (goal, at)
        WHERE at::double precision > extract(epoch FROM clock_timestamp()) - 300
    ) AS of_late
) AS asked
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(capability ORDER BY capability), '{}') AS capabilities
    FROM (
        SELECT unnest(workers.capabilities) AS capability
        UNION
        SELECT capability FROM jsonb_each(able_at) AS late (capability, at)
        WHERE at::double precision > extract(epoch FROM clock_timestamp()) - 300
    ) AS of_late
) AS able
WHERE workers.seen_at <= coalesce($1::timestamptz, 'infinity')
  AND (workers.seen_at < coalesce($1, 'infinity')
       OR (workers.tenant_id, namespace, worker_id) < ($2::bigint, $3::text, $4::text))
ORDER BY workers.seen_at DESC, workers.tenant_id DESC, namespace DESC, worker_id DESC
LIMIT $5
