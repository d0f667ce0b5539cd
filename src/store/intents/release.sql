-- Undoes claims whose answer nobody was there to take: open again, due now, the attempt not counted. But not if another try of the same
-- request was given them.
--
-- $1 ids  $2 hashes of the claim tokens, for each
-- Index: primary key of intents; locked in the order of ids. They go to the end of those that are due, never back to where they
-- stood (the low-water marks of the replicas may be past that).
WITH held AS MATERIALIZED (
    SELECT claim.id
    FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS unheard (id, token) ORDER BY id) AS unheard, LATERAL (
        SELECT id
        FROM intents
        WHERE id = unheard.id AND state = 'claimed' AND claim_hash = unheard.token AND NOT claim_repeated
        FOR UPDATE
    ) AS claim
)
UPDATE intents
SET state = 'open', claim_hash = NULL, lease_until = NULL, claimed_by = NULL, worker_id = NULL,
    claimed_at = NULL,
    claim_attempts = claim_attempts - 1,
    visible_at = clock_timestamp()
FROM held
WHERE intents.id = ANY (ARRAY[held.id])
RETURNING intents.id
