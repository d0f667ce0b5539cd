-- The newest keys for a page, without anything secret.
--
-- $1 how many
-- Index: primary keys.
SELECT api_keys.id, owner, extract(epoch FROM api_keys.created_at)::double precision AS created_at,
       extract(epoch FROM revoked_at)::double precision AS revoked_at
FROM api_keys
JOIN tenants ON tenants.id = tenant_id
ORDER BY api_keys.id DESC
LIMIT $1
