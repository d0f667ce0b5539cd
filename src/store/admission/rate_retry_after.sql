-- Seconds until the oldest counted second of a tenant leaves its rate window. For a refused request only.
--
-- $1 tenant
-- Index: primary key of rate_windows.
SELECT greatest(1, min(second) + 61 - floor(extract(epoch FROM clock_timestamp()))::bigint) AS seconds
FROM rate_windows, unnest(seconds) AS second
WHERE tenant_id = $1 AND second > floor(extract(epoch FROM clock_timestamp()))::bigint - 61
