-- A new tenant with its first key.
--
-- $1 owner  $2 SHA-256 of the key
WITH tenant AS (
    INSERT INTO tenants (owner) VALUES ($1) RETURNING id
)
INSERT INTO api_keys (tenant_id, key_hash)
SELECT id, $2 FROM tenant
RETURNING id, tenant_id
