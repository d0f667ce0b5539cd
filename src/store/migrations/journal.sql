-- The migrations that have been applied.
SELECT number, name, checksum, extract(epoch FROM applied_at)::double precision AS applied_at
FROM schema_migrations
ORDER BY number
