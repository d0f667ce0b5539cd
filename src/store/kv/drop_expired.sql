-- Deletes expired values, a bounded number at a time.
--
-- $1 at most so many
-- Index: key_values_expires_at. SKIP LOCKED: every replica does this, and a value that is being set again stays.
DELETE FROM key_values
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM key_values
    WHERE expires_at <= (SELECT clock_timestamp())
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING 1
