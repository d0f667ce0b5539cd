-- The same as cycle.sql, signed: each statement also stores the nonce of its request, or else does nothing.

WITH nonce AS (
    INSERT INTO nonces (nonce) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING RETURNING 1
)
INSERT INTO jobs (goal, payload) SELECT 'bench', '{"n": 1}' FROM nonce RETURNING id AS published \gset

WITH nonce AS (
    INSERT INTO nonces (nonce) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING RETURNING 1
),
next AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'open' ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'claimed', token = gen_random_uuid(), lease_until = clock_timestamp() + interval '60 s'
FROM next, nonce
WHERE jobs.id = next.id
RETURNING jobs.id AS id, jobs.token AS token, jobs.payload AS payload \gset

WITH nonce AS (
    INSERT INTO nonces (nonce) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING RETURNING 1
)
UPDATE jobs SET state = 'done', finished_at = clock_timestamp()
FROM nonce
WHERE id = :id AND token = :token AND state = 'claimed';
