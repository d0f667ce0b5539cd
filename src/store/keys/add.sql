-- One more key of a tenant. Does nothing when the key is there already, or there is no such tenant. Root (tenant 0) has no
-- keys here: its key is a setting, and whatever it is asked for it may do.
--
-- $1 tenant  $2 SHA-256 of the key  $3 scopes, $4 namespaces (NULL: all)  $5 seconds after which it ends (NULL: never)
-- Index: primary key of tenants, api_keys_key_hash_key.
INSERT INTO api_keys (tenant_id, key_hash, scopes, namespaces, expires_at)
SELECT id, $2, $3, $4, clock_timestamp() + make_interval(secs => $5::double precision)
FROM tenants
WHERE id = $1 AND id <> 0
ON CONFLICT (key_hash) DO NOTHING
