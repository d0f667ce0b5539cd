-- A new key that reaches what an older one of the same tenant does; the older one ends after an overlap, or when it would have
-- ended anyway if that is sooner. Does nothing when the older one cannot be used any more, or the new one is there already.
-- If the older one was to end, so is the new one: after as long as that was made for. (What a rotation has ended counts, too: a key
-- that is rotated again in its overlap gives one that lives for as long as it does in all.)
--
-- $1 number of the older key  $2 SHA-256 of the new one  $3 overlap in seconds
-- Index: primary key, api_keys_key_hash_key. A second try that waits for the first one does not see its key, but meets it.
-- `changed_at` makes every replica's cache read the older key anew. Trap: RETURNING has the new end, so the old one is read apart.
WITH old AS MATERIALIZED (
    SELECT id, tenant_id, scopes, namespaces, expires_at - created_at AS life
    FROM api_keys
    WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
      AND NOT EXISTS (SELECT FROM api_keys WHERE key_hash = $2)
    FOR UPDATE
), ended AS (
    UPDATE api_keys
    SET expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $3::double precision)),
        changed_at = clock_timestamp()
    FROM old
    WHERE api_keys.id = ANY (ARRAY[old.id])
)
INSERT INTO api_keys (tenant_id, key_hash, scopes, namespaces, expires_at)
SELECT tenant_id, $2, scopes, namespaces, clock_timestamp() + life FROM old
ON CONFLICT (key_hash) DO NOTHING
