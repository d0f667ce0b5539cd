-- In which of these lanes is something due? For claims that wait.
--
-- Four kinds of lanes: $1 own, one goal  $2 own, any goal  $3 public, one goal  $4 public, any goal
-- $5 time to live of an unclaimed intent in seconds
-- $6 lanes, $7 priorities, $8 their low-water marks
-- Indexes: lane_priorities and the index of each kind. One look for each priority that occurs in a lane. ORDER BY, since only that
-- index has this order: docs/architecture.md, Plans.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), pairs AS MATERIALIZED (
    SELECT kind, asked.lane, there.priority,
           greatest(marks.mark, now - make_interval(secs => $5::double precision)) AS after
    FROM clock,
         (
             SELECT 1 AS kind, lane FROM unnest($1::bigint[]) AS lane
             UNION ALL SELECT 2, lane FROM unnest($2::bigint[]) AS lane
             UNION ALL SELECT 3, lane FROM unnest($3::bigint[]) AS lane
             UNION ALL SELECT 4, lane FROM unnest($4::bigint[]) AS lane
         ) AS asked
    CROSS JOIN LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = asked.lane OFFSET 0) AS there
    LEFT JOIN unnest($6::bigint[], $7::smallint[], $8::timestamptz[]) AS marks (lane, priority, mark)
        ON marks.lane = asked.lane AND marks.priority = there.priority
)
SELECT DISTINCT kind, pairs.lane
FROM pairs, LATERAL (
    (SELECT FROM intents
     WHERE kind = 1 AND own_goal_lane = pairs.lane AND priority = pairs.priority
       AND visible_at > after AND visible_at <= (SELECT now FROM clock) ORDER BY visible_at LIMIT 1)
    UNION ALL
    (SELECT FROM intents
     WHERE kind = 2 AND own_lane = pairs.lane AND priority = pairs.priority
       AND visible_at > after AND visible_at <= (SELECT now FROM clock) ORDER BY visible_at LIMIT 1)
    UNION ALL
    (SELECT FROM intents
     WHERE kind = 3 AND public_goal_lane = pairs.lane AND priority = pairs.priority
       AND visible_at > after AND visible_at <= (SELECT now FROM clock) ORDER BY visible_at LIMIT 1)
    UNION ALL
    (SELECT FROM intents
     WHERE kind = 4 AND public_lane = pairs.lane AND priority = pairs.priority
       AND visible_at > after AND visible_at <= (SELECT now FROM clock) ORDER BY visible_at LIMIT 1)
) AS due
