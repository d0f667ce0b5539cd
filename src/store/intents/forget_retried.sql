-- Claims whose leases have ended are not found by their requests any more: others may be made in their places.
--
-- $1 what they are found by
-- Index: intents_claim_request. Locked in the order of ids.
WITH over AS MATERIALIZED (
    SELECT id
    FROM intents
    WHERE claim_request = ANY ($1::uuid[]) AND claim_hash IS NOT NULL AND lease_until <= clock_timestamp()
    -- In the order of ids, but not in a way that lets the primary key be walked for it.
    ORDER BY id::text COLLATE "C"
    FOR UPDATE
)
UPDATE intents SET claim_request = NULL FROM over WHERE intents.id = ANY (ARRAY[over.id])
