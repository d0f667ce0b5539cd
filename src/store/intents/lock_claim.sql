-- Locks the intents that claims hold and tells what decides between another attempt and the end.
--
-- One entry for each claim: $1 id  $2 hash of the claim token (NULL: the tenant suffices)  $3 tenant that claimed
-- Comes back with the number of its entry: the same intent may be named twice, and by a wrong token first.
-- Index: primary key of intents; in the order of ids, so that two of these cannot wait for each other, and rows come back in it.
SELECT item, claim.*
FROM (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS held (id, token, item) ORDER BY id, item
) AS held, LATERAL (
    SELECT id, claim_attempts, max_attempts, has_retry_policy, namespace, goal, worker_id, traceparent
    FROM intents
    WHERE id = held.id AND state = 'claimed' AND claimed_by = $3 AND (held.token IS NULL OR claim_hash = held.token)
    FOR UPDATE
) AS claim
