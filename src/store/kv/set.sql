-- Stores a value for a while, in place of what the key held.
--
-- $1 tenant  $2 key  $3 value, a JSON string literal  $4 seconds to live
-- Index: primary key of key_values.
INSERT INTO key_values (tenant_id, key, value, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4::double precision))
ON CONFLICT (tenant_id, key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
