-- After a lost answer to COMMIT: has this very claim fulfilled the intent?
--
-- $1 id  $2 tenant that claimed  $3 hash of the claim token (NULL: the tenant suffices)
-- Index: primary key of each partition of finished. What an older release has ended does not say by which claim.
SELECT id
FROM finished
WHERE id = $1 AND claimed_by = $2 AND state = 'fulfilled'
  AND ($3::uuid IS NULL OR claim_hash IS NULL OR claim_hash = $3)
