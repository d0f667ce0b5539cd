-- One job through its life, unsigned: publish, claim, complete, three transactions of one row each.

INSERT INTO jobs (goal, payload) VALUES ('bench', '{"n": 1}') RETURNING id AS published \gset

WITH next AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'open' ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE jobs
SET state = 'claimed', token = gen_random_uuid(), lease_until = clock_timestamp() + interval '60 s'
FROM next
WHERE jobs.id = next.id
RETURNING jobs.id AS id, jobs.token AS token, jobs.payload AS payload \gset

UPDATE jobs SET state = 'done', finished_at = clock_timestamp()
WHERE id = :id AND token = :token AND state = 'claimed';
