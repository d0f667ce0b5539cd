-- Locks the intents that claims hold and tells what decides between another attempt and the end.
--
-- One entry for each claim: $1 id  $2 hash of the claim token (NULL: the tenant suffices)  $3 tenant that claimed
-- Comes back with the number of its entry: the same intent may be named twice, and by a wrong token first.
-- Index: primary key of intents; in the order of ids, so that two of these cannot wait for each other.
SELECT item, intents.id, claim_attempts, max_attempts, has_retry_policy, namespace, goal, worker_id, traceparent
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS held (id, token, item)
JOIN intents ON intents.id = held.id
WHERE state = 'claimed' AND claimed_by = $3 AND (held.token IS NULL OR claim_hash = held.token)
ORDER BY intents.id, item
FOR UPDATE OF intents
