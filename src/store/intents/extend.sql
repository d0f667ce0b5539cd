-- Moves the end of a live lease. No row comes back when the lease is over or this claim does not hold the intent.
--
-- $1 id  $2 tenant that claimed  $3 hash of the claim token (NULL: the tenant suffices)  $4 seconds to add
-- $5 the end that an earlier try of this request may have moved it to: if so, it is not moved again (NULL: there was none)
-- Index: primary key of intents.
UPDATE intents
SET lease_until = lease_until + make_interval(secs => CASE WHEN lease_until >= $5 THEN 0 ELSE $4::double precision END),
    visible_at = visible_at + make_interval(secs => CASE WHEN lease_until >= $5 THEN 0 ELSE $4::double precision END)
WHERE id = $1 AND state = 'claimed' AND claimed_by = $2 AND ($3::uuid IS NULL OR claim_hash = $3::uuid)
  AND lease_until > clock_timestamp()
RETURNING namespace, goal, claim_attempts, worker_id, traceparent, lease_until
