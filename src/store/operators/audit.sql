-- Writes a line of the audit log, unless this is the second try of a request whose first has written it. Gives its number.
--
-- $1 actor  $2 action  $3 target  $4 details, a JSON object as text  $5 request id
-- $6 numbers of the lines that the first try wrote; empty: there was none. By number, since clients choose the ids of their
-- requests, and a line that was rolled back leaves its number to nobody.
-- Index: primary key.
INSERT INTO audit_log (actor, action, target, details, request_id)
SELECT $1, $2, $3, $4::text::jsonb, $5
WHERE NOT EXISTS (
    SELECT FROM audit_log AS earlier
    WHERE earlier.id = ANY ($6::bigint[]) AND earlier.action = $2 AND earlier.target IS NOT DISTINCT FROM $3
      AND earlier.details IS NOT DISTINCT FROM $4::text::jsonb
)
RETURNING id
