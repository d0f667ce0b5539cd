-- The key that a request presents, unless it is revoked.
--
-- $1 SHA-256 of the key
-- Index: api_keys_key_hash_key, primary key of tenants.
SELECT tenant_id, rate_limit_per_minute, max_open_intents
FROM api_keys
JOIN tenants ON tenants.id = tenant_id
WHERE key_hash = $1 AND revoked_at IS NULL
