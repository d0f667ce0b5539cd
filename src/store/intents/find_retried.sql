-- Which of these tokens' claims were made by earlier tries, and whether their leases last.
--
-- $1 hashes of the claim tokens
-- Index: intents_retryable_claims.
SELECT claim_hash, lease_until > clock_timestamp() AS lasts
FROM intents
WHERE claim_hash = ANY ($1::uuid[]) AND claim_retryable AND state = 'claimed'
