-- A page of a search in the order of ids, which begin with the time of publication; the newest first. Both tables are merged
-- and judged row by row, so that the page is ready as soon as it is full. The last row that may be looked at comes back whether it
-- matches or not: it says how far the search has come.
--
-- $1 ids below this, $2 and not below this  $3 whether to look at unfinished, $4 at finished ones
-- $5 phase, $6 namespace, $7 goal, $8 tenant, $9 worker of the last claim, $10 a part of the last error (each NULL: any)
-- $11 time to live of an unclaimed intent in seconds  $12 rows to look at, at most  $13 rows of the page
-- Index: primary keys of intents and of each partition of finished, backwards. The planner must know the values, and must not
-- sort: see SEARCHING in search.rs.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
)
SELECT page.*, owner,
       extract(epoch FROM page.created)::double precision AS created_at,
       extract(epoch FROM page.due)::double precision AS run_at,
       extract(epoch FROM page.lease)::double precision AS claim_expires_at,
       extract(epoch FROM page.ended)::double precision AS completed_at
FROM (
    SELECT judged.*
    FROM (
        SELECT looked.*, row_number() OVER (ORDER BY id DESC) AS number,
               ($5::text IS NULL OR phase = $5 OR ($5 = 'open' AND phase IN ('claimable', 'waiting')))
               AND ($6::text IS NULL OR namespace = $6) AND ($7::text IS NULL OR goal = $7)
               AND ($8::bigint IS NULL OR tenant_id = $8) AND ($9::text IS NULL OR worker_id IS NOT DISTINCT FROM $9)
               AND ($10::text IS NULL OR strpos(lower(last_error), lower($10)) > 0) IS TRUE AS matches
        FROM (
            SELECT both_tables.*
            FROM (
                (
                    SELECT id, tenant_id, namespace, goal, priority, public_lane IS NOT NULL AS public, claim_attempts,
                           max_attempts, worker_id, last_error,
                           CASE
                               WHEN state = 'claimed' AND lease_until > (SELECT now FROM clock) THEN 'claimed'
                               WHEN claim_attempts >= max_attempts
                                 OR visible_at <= (SELECT now FROM clock) - make_interval(secs => $11::double precision)
                                   THEN 'dead'
                               WHEN visible_at <= (SELECT now FROM clock) THEN 'claimable'
                               ELSE 'waiting'
                           END AS phase,
                           created_at AS created,
                           CASE WHEN state = 'claimed' AND lease_until <= (SELECT now FROM clock) AND visible_at < 'infinity'
                               THEN visible_at ELSE run_at END AS due,
                           CASE WHEN lease_until > (SELECT now FROM clock) THEN lease_until END AS lease,
                           NULL::timestamptz AS ended
                    FROM intents
                    WHERE $3::boolean AND id < $1 AND id >= $2
                    ORDER BY id DESC
                    LIMIT $12
                )
                UNION ALL
                (
                    SELECT id, tenant_id, namespace, goal, priority, public, claim_attempts,
                           max_attempts, worker_id, last_error, state::text, created_at, run_at, NULL, finished_at
                    FROM finished
                    WHERE $4::boolean AND id < $1 AND id >= $2
                    ORDER BY id DESC
                    LIMIT $12
                )
            ) AS both_tables
            ORDER BY id DESC
            LIMIT $12
        ) AS looked
    ) AS judged
    WHERE matches OR number = $12
    ORDER BY id DESC
    LIMIT $13
) AS page
LEFT JOIN tenants ON tenants.id = ANY (ARRAY[page.tenant_id])
ORDER BY page.id DESC
