-- A page of keys, the newest first, without anything secret.
--
-- $1 keys with lower numbers than this (NULL: the newest)  $2 how many
-- Index: primary keys of api_keys (backwards), tenants and quotas.
SELECT api_keys.id, api_keys.tenant_id, owner, extract(epoch FROM api_keys.created_at)::double precision AS created_at,
       extract(epoch FROM revoked_at)::double precision AS revoked_at,
       extract(epoch FROM expires_at)::double precision AS expires_at,
       revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AS valid,
       scopes, namespaces, rate_limit_per_minute, max_open_intents,
       coalesce((SELECT open_intents FROM quotas WHERE quotas.tenant_id = api_keys.tenant_id), 0)::bigint AS open_intents
FROM api_keys
JOIN tenants ON tenants.id = ANY (ARRAY[api_keys.tenant_id])
WHERE api_keys.id < coalesce($1::bigint, 9223372036854775807)
ORDER BY api_keys.id DESC
LIMIT $2
