-- A key that was just made, by this try or by one whose answer was lost.
--
-- $1 SHA-256 of the key
-- Index: api_keys_key_hash_key, primary key of tenants.
SELECT api_keys.id, tenant_id, owner, extract(epoch FROM expires_at)::double precision AS expires_at
FROM api_keys
JOIN tenants ON tenants.id = ANY (ARRAY[tenant_id])
WHERE key_hash = $1
