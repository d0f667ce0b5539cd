-- A page of the audit log, the newest first.
--
-- $1 lines with lower numbers than this (NULL: the newest)  $2 how many
-- Index: primary key, backwards.
SELECT id, extract(epoch FROM at)::double precision AS at, actor, action, target, details::text AS details, request_id
FROM audit_log
WHERE id < coalesce($1::bigint, 9223372036854775807)
ORDER BY id DESC
LIMIT $2
