-- The newest intents of both tables, newest first, for a page. Ids begin with their time, so the keys are the order.
--
-- $1 how many  $2 time to live of an unclaimed intent in seconds
-- Index: primary keys, read backwards, a page's worth from each partition.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
)
(
    SELECT id, namespace, goal, claim_attempts, max_attempts, worker_id,
           CASE
               WHEN state = 'claimed' AND lease_until > now THEN 'claimed'
               WHEN claim_attempts >= max_attempts OR visible_at <= now - make_interval(secs => $2::double precision)
                   THEN 'dead'
               ELSE 'open'
           END AS state,
           extract(epoch FROM created_at)::double precision AS created_at
    FROM intents, clock
    ORDER BY id DESC
    LIMIT $1
)
UNION ALL
(
    SELECT id, namespace, goal, claim_attempts, max_attempts, worker_id, state::text,
           extract(epoch FROM created_at)::double precision
    FROM finished
    ORDER BY id DESC
    LIMIT $1
)
ORDER BY id DESC
LIMIT $1
