-- The beginning of a payload, and its whole length.
--
-- $1 id  $2 day under which it is kept, as text  $3 bytes wanted
-- Index: primary key of one partition of payloads.
SELECT substring(payload FROM 1 FOR $3::integer) AS beginning, octet_length(payload)::bigint AS bytes
FROM payloads
WHERE day = $2::text::date AND id = $1
