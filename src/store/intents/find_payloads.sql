-- The payloads of intents that were claimed, as they came in.
--
-- $1 ids  $2 the day under which each is kept
-- Index: primary key of one partition of payloads for each.
SELECT kept.id, kept.payload
FROM unnest($1::uuid[], $2::text[]) AS claimed (id, day), LATERAL (
    SELECT payloads.id, payload FROM payloads WHERE payloads.day = claimed.day::date AND payloads.id = claimed.id LIMIT 1
) AS kept
