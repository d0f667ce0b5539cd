-- The payload of one intent, as it came in.
--
-- $1 id  $2 the day under which it is kept
-- Index: primary key of one partition of payloads.
SELECT payload FROM payloads WHERE day = $2::text::date AND id = $1
