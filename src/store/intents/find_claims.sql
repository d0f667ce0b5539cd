-- After a lost answer: which claims came to be, and last? Looks where claims stand that were made just now. Each comes with the whole
-- seconds that are left of its lease, 1 at least.
--
-- $1 own lanes  $2 public lanes  $3 hashes of the claim tokens
-- Indexes: lane_priorities; as claim.sql (ORDER BY: as in due.sql). It reads what is held in these lanes at this moment, and what is
-- not due.
SELECT held.id, namespace, goal, claim_attempts, held.priority, target_worker, required_capability, payload_day::text AS payload_day,
       claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed,
       greatest(1, floor(extract(epoch FROM lease_until - clock_timestamp())))::integer AS left
FROM (
    SELECT mine.lane, there.priority
    FROM unnest($1::bigint[]) AS mine (lane),
         LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = mine.lane OFFSET 0) AS there
) AS pair, LATERAL (
    SELECT * FROM intents
    WHERE {own} = pair.lane AND intents.priority = pair.priority AND visible_at > (SELECT clock_timestamp())
      AND claim_hash = ANY ($3::uuid[]) AND lease_until > clock_timestamp()
    ORDER BY visible_at
    OFFSET 0
) AS held
UNION
SELECT held.id, namespace, goal, claim_attempts, held.priority, target_worker, required_capability, payload_day::text,
       claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed,
       greatest(1, floor(extract(epoch FROM lease_until - clock_timestamp())))::integer AS left
FROM (
    SELECT open.lane, there.priority
    FROM unnest($2::bigint[]) AS open (lane),
         LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = open.lane OFFSET 0) AS there
) AS pair, LATERAL (
    SELECT * FROM intents
    WHERE {public} = pair.lane AND intents.priority = pair.priority AND visible_at > (SELECT clock_timestamp())
      AND claim_hash = ANY ($3::uuid[]) AND lease_until > clock_timestamp()
    ORDER BY visible_at
    OFFSET 0
) AS held
