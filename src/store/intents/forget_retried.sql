-- Claims whose leases have ended are not found by their requests any more: others may be made in their places.
--
-- $1 what they are found by
-- Index: intents_claim_request. Locked in the order of ids.
WITH over AS MATERIALIZED (
    SELECT claim.id
    FROM (
        SELECT id FROM (
            SELECT id FROM intents WHERE claim_request = ANY ($1::uuid[]) AND claim_hash IS NOT NULL OFFSET 0
        ) AS found
        ORDER BY id
    ) AS named, LATERAL (
        SELECT id
        FROM intents
        WHERE id = named.id AND (claim_request = ANY ($1::uuid[])) IS TRUE AND claim_hash IS NOT NULL AND lease_until <= clock_timestamp()
        FOR UPDATE
    ) AS claim
)
UPDATE intents SET claim_request = NULL FROM over WHERE intents.id = ANY (ARRAY[over.id])
