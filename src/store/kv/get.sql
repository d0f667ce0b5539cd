-- The value of a key that has not expired.
--
-- $1 tenant  $2 key
-- Index: primary key of key_values.
SELECT value FROM key_values WHERE tenant_id = $1 AND key = $2 AND expires_at > clock_timestamp()
