-- Drops pairs of lane and priority that no replica has made sure of for two days and in which no intent stands.
--
-- $1 at most so many
-- Indexes: lane_priorities_used_at; the four lane indexes of intents (ORDER BY: as in due.sql). A replica that publishes into
-- such a pair renews it in the same transaction, for which this waits and then looks at `used_at` again.
DELETE FROM lane_priorities
WHERE used_at < clock_timestamp() - interval '2 days'
  AND ctid = ANY (ARRAY(
      SELECT old.ctid
      FROM lane_priorities AS old
      WHERE old.used_at < (SELECT clock_timestamp()) - interval '2 days'
        AND NOT EXISTS (SELECT FROM intents WHERE own_goal_lane = old.lane AND intents.priority = old.priority
                        ORDER BY visible_at OFFSET 0)
        AND NOT EXISTS (SELECT FROM intents WHERE own_lane = old.lane AND intents.priority = old.priority
                        ORDER BY visible_at OFFSET 0)
        AND NOT EXISTS (SELECT FROM intents WHERE public_goal_lane = old.lane AND intents.priority = old.priority
                        ORDER BY visible_at OFFSET 0)
        AND NOT EXISTS (SELECT FROM intents WHERE public_lane = old.lane AND intents.priority = old.priority
                        ORDER BY visible_at OFFSET 0)
      ORDER BY old.used_at
      LIMIT $1
  ))
