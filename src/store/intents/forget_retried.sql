-- Claims whose leases have ended are not found by their requests any more: others may be made by the same tokens.
--
-- $1 hashes of the claim tokens
-- Index: intents_retryable_claims. Locked in the order of ids, as by all who lock several.
WITH over AS MATERIALIZED (
    SELECT id
    FROM intents
    WHERE claim_hash = ANY ($1::uuid[]) AND claim_retryable AND state = 'claimed' AND lease_until <= clock_timestamp()
    ORDER BY id
    FOR UPDATE
)
UPDATE intents SET claim_retryable = false FROM over WHERE intents.id = over.id
