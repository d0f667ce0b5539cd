-- Writes a line of the audit log, unless this is the second try of a request whose first has written it.
--
-- $1 actor  $2 action  $3 target  $4 details, a JSON object as text  $5 request id  $6 whether this is a second try
-- Index: primary key; a second try looks at the last ten thousand lines.
INSERT INTO audit_log (actor, action, target, details, request_id)
SELECT $1, $2, $3, $4::text::jsonb, $5
WHERE NOT $6::boolean OR NOT EXISTS (
    SELECT FROM audit_log AS earlier
    WHERE earlier.id > (SELECT max(id) - 10000 FROM audit_log)
      AND earlier.request_id = $5 AND earlier.action = $2 AND earlier.target IS NOT DISTINCT FROM $3
      AND earlier.details IS NOT DISTINCT FROM $4::text::jsonb
)
