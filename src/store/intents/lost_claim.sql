-- After a lost answer to COMMIT: did this claim come to be? Waits for the lost transaction by asking for the row's lock.
--
-- $1 id  $2 hash of the claim token
-- Index: primary key of intents.
SELECT claim_hash IS NOT DISTINCT FROM $2::uuid AS held FROM intents WHERE id = $1 FOR UPDATE
