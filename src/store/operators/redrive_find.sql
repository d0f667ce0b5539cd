-- Dead letters that a redrive would put back, those that died first before others. As search_dead.sql otherwise, the other way round.
--
-- $1 died before this (NULL: any time), $2 died at or after this
-- $3 namespace, $4 goal, $5 tenant, $6 a part of the last error (each NULL: any)
-- $7 rows to look at, at most  $8 rows wanted
-- Index: finished_dead, backwards, partition by partition.
SELECT page.*, owner, 'dead' AS phase,
       extract(epoch FROM page.created)::double precision AS created_at,
       extract(epoch FROM page.due)::double precision AS run_at,
       NULL::double precision AS claim_expires_at,
       extract(epoch FROM page.finished_at)::double precision AS completed_at
FROM (
    SELECT judged.*
    FROM (
        SELECT looked.*, row_number() OVER (ORDER BY finished_at) AS number,
               ($3::text IS NULL OR namespace = $3) AND ($4::text IS NULL OR goal = $4)
               AND ($5::bigint IS NULL OR tenant_id = $5)
               AND ($6::text IS NULL OR strpos(lower(last_error), lower($6)) > 0) IS TRUE AS matches
        FROM (
            SELECT id, finished_at, tenant_id, namespace, goal, priority, public, claim_attempts, max_attempts, worker_id,
                   last_error, created_at AS created, run_at AS due, target_worker, required_capability
            FROM finished
            WHERE state = 'dead' AND finished_at < coalesce($1::timestamptz, 'infinity') AND finished_at >= $2
            ORDER BY finished_at
            LIMIT $7
        ) AS looked
    ) AS judged
    WHERE matches OR number = $7
    ORDER BY finished_at
    LIMIT $8
) AS page
LEFT JOIN tenants ON tenants.id = ANY (ARRAY[page.tenant_id])
ORDER BY page.finished_at
