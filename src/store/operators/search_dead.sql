-- A page of dead letters in the order of their death, the latest first. As search.sql otherwise. Those that count as dead but are not
-- buried yet are not here: maintenance brings them.
--
-- $1 died before this (NULL: any time), $2 or at that very moment with an id below this  $3 died at or after this
-- $4 namespace, $5 goal, $6 tenant, $7 worker of the last claim, $8 a part of the last error (each NULL: any)
-- $9 rows to look at, at most  $10 rows of the page
-- Index: finished_dead, partition by partition.
SELECT page.*, owner, 'dead' AS phase,
       extract(epoch FROM page.created)::double precision AS created_at,
       extract(epoch FROM page.due)::double precision AS run_at,
       NULL::double precision AS claim_expires_at,
       extract(epoch FROM page.finished_at)::double precision AS completed_at
FROM (
    SELECT judged.*
    FROM (
        SELECT looked.*, row_number() OVER (ORDER BY finished_at DESC, id DESC) AS number,
               ($4::text IS NULL OR namespace = $4) AND ($5::text IS NULL OR goal = $5)
               AND ($6::bigint IS NULL OR tenant_id = $6) AND ($7::text IS NULL OR worker_id IS NOT DISTINCT FROM $7)
               AND ($8::text IS NULL OR strpos(lower(last_error), lower($8)) > 0) IS TRUE AS matches
        FROM (
            SELECT id, finished_at, tenant_id, namespace, goal, priority, public, claim_attempts, max_attempts, worker_id,
                   last_error, created_at AS created, run_at AS due
            FROM finished
            WHERE state = 'dead' AND finished_at <= coalesce($1::timestamptz, 'infinity')
              AND (finished_at < coalesce($1, 'infinity') OR id < $2) AND finished_at >= $3
            ORDER BY finished_at DESC, id DESC
            LIMIT $9
        ) AS looked
    ) AS judged
    WHERE matches OR number = $9
    ORDER BY finished_at DESC, id DESC
    LIMIT $10
) AS page
LEFT JOIN tenants ON tenants.id = ANY (ARRAY[page.tenant_id])
ORDER BY page.finished_at DESC, page.id DESC
