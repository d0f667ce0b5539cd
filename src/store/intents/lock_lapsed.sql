-- Locks claims that were the last allowed and whose lease has ended, for maintenance to bury.
--
-- $1 at most so many
-- Index: intents_last_attempt. SKIP LOCKED: every replica does this, and a finish that arrives late goes first.
SELECT id
FROM intents
WHERE claim_attempts = max_attempts AND lease_until <= (SELECT clock_timestamp())
ORDER BY lease_until
LIMIT $1
FOR UPDATE SKIP LOCKED
