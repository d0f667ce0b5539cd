-- Stores a value for a while, in place of what the key held, and gives when that was to expire (NULL: it held nothing).
--
-- $1 tenant  $2 key  $3 value, a JSON string literal  $4 seconds to live
-- $5 whether an earlier try of this request may have stored it, which found a value that was to expire at $6 (NULL: none). If another
-- stands there by now, it is that try's own or a newer one, and stays.
-- Index: primary key of key_values.
WITH before AS MATERIALIZED (
    SELECT expires_at FROM key_values WHERE tenant_id = $1 AND key = $2
)
INSERT INTO key_values (tenant_id, key, value, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4::double precision))
ON CONFLICT (tenant_id, key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
WHERE NOT $5::boolean OR key_values.expires_at IS NOT DISTINCT FROM $6::timestamptz
RETURNING (SELECT before.expires_at FROM before) AS before
