-- After a lost answer: which claims came to be? Looks where claims stand that were made just now.
--
-- $1 own lanes  $2 public lanes  $3 hashes of the claim tokens
-- Indexes: lane_priorities; as claim.sql. It reads the claims that are held in these lanes at this moment.
SELECT held.id, namespace, goal, claim_attempts, held.priority, target_worker, required_capability, payload_day::text AS payload_day,
       claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed
FROM (
    SELECT mine.lane, there.priority
    FROM unnest($1::bigint[]) AS mine (lane),
         LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = mine.lane) AS there
) AS pair, LATERAL (
    SELECT * FROM intents
    WHERE {own} = pair.lane AND intents.priority = pair.priority AND visible_at > clock_timestamp()
      AND claim_hash = ANY ($3::uuid[])
) AS held
UNION
SELECT held.id, namespace, goal, claim_attempts, held.priority, target_worker, required_capability, payload_day::text,
       claim_hash, NULL::bytea AS payload, traceparent, false AS lapsed
FROM (
    SELECT open.lane, there.priority
    FROM unnest($2::bigint[]) AS open (lane),
         LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = open.lane) AS there
) AS pair, LATERAL (
    SELECT * FROM intents
    WHERE {public} = pair.lane AND intents.priority = pair.priority AND visible_at > clock_timestamp()
      AND claim_hash = ANY ($3::uuid[])
) AS held
