-- Locks the intent that a claim holds and tells what decides between another attempt and the end.
--
-- $1 id  $2 tenant that claimed  $3 hash of the claim token (NULL: the tenant suffices)
-- Index: primary key of intents.
SELECT claim_attempts, max_attempts, has_retry_policy
FROM intents
WHERE id = $1 AND state = 'claimed' AND claimed_by = $2 AND ($3::uuid IS NULL OR claim_hash = $3::uuid)
FOR UPDATE
