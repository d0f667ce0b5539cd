-- Changes the limits of a tenant. A row comes back when there is such a tenant.
--
-- $1 tenant  $2 whether requests a minute change, $3 to what  $4 whether unfinished intents change, $5 to what (NULL: the
-- settings hold)
-- Index: primary key of tenants; none for the keys, whose table is read: an operator's act. Limits are cached with keys, so
-- that each is dated for the caches to read it anew.
WITH changed AS (
    UPDATE tenants
    SET rate_limit_per_minute = CASE WHEN $2::boolean THEN $3::integer ELSE rate_limit_per_minute END,
        max_open_intents = CASE WHEN $4::boolean THEN $5::integer ELSE max_open_intents END
    WHERE id = $1 AND id <> 0
    RETURNING id, owner, rate_limit_per_minute, max_open_intents
), dated AS (
    UPDATE api_keys SET changed_at = clock_timestamp() FROM changed WHERE tenant_id = changed.id AND revoked_at IS NULL
)
SELECT id, owner, rate_limit_per_minute, max_open_intents FROM changed
