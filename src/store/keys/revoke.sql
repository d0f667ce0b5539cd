-- Revokes a key for ever. A row comes back when it existed, revoked before or not.
--
-- $1 SHA-256 of the key
-- Index: api_keys_key_hash_key.
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, clock_timestamp()), changed_at = clock_timestamp()
WHERE key_hash = $1
RETURNING id
