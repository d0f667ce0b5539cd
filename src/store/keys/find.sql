-- The key that a request presents, unless it is revoked or has ended by itself; and for how many seconds it goes on.
--
-- $1 SHA-256 of the key
-- Index: api_keys_key_hash_key, primary key of tenants.
SELECT api_keys.id, tenant_id, rate_limit_per_minute, max_open_intents, scopes, namespaces,
       extract(epoch FROM expires_at - clock_timestamp())::double precision AS expires_in
FROM api_keys
JOIN tenants ON tenants.id = ANY (ARRAY[tenant_id])
WHERE key_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
