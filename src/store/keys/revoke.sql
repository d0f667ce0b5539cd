-- Revokes a key for ever. A row comes back when it existed, revoked before or not.
--
-- $1 SHA-256 of the key, or NULL and $2 its number
-- Index: api_keys_key_hash_key, primary key: the key is found first, by one of two lookups.
WITH named AS MATERIALIZED (
    SELECT id FROM api_keys WHERE key_hash = $1
    UNION ALL
    SELECT id FROM api_keys WHERE $1::bytea IS NULL AND id = $2
)
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, clock_timestamp()), changed_at = clock_timestamp()
FROM named
WHERE api_keys.id = ANY (ARRAY[named.id])
RETURNING api_keys.id, key_hash
