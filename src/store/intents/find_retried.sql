-- Which of these claims were made by earlier tries, and whether their leases last.
--
-- $1 what they are found by
-- Index: intents_claim_request.
SELECT claim_request, lease_until > clock_timestamp() AS lasts
FROM intents
WHERE claim_request = ANY ($1::uuid[]) AND claim_hash IS NOT NULL
