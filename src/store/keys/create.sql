-- A new tenant with its first key and its counters. Does nothing when the key is there already: a lost first try has made it.
--
-- $1 owner  $2 SHA-256 of the key  $3 requests a minute, $4 unfinished intents (NULL: the settings hold)
-- $5 scopes, $6 namespaces (NULL: all)  $7 seconds after which it ends (NULL: never)
--
-- The key goes first: it is what makes a second try wait for a first one that has not ended yet, and then do nothing. Its
-- reference to the tenant is checked at the end of the statement.
-- Index: api_keys_key_hash_key.
WITH key AS (
    INSERT INTO api_keys (tenant_id, key_hash, scopes, namespaces, expires_at)
    VALUES (
        nextval(pg_get_serial_sequence('tenants', 'id')), $2, $5, $6,
        clock_timestamp() + make_interval(secs => $7::double precision)
    )
    ON CONFLICT (key_hash) DO NOTHING
    RETURNING tenant_id
), quota AS (
    INSERT INTO quotas (tenant_id, open_intents) SELECT tenant_id, 0 FROM key
), rate AS (
    INSERT INTO rate_windows (tenant_id, seconds, hits) SELECT tenant_id, '{}', '{}' FROM key
)
INSERT INTO tenants (id, owner, rate_limit_per_minute, max_open_intents)
SELECT tenant_id, $1, $3, $4 FROM key
