-- Which priorities occur in which lane: a claim looks here instead of hopping from one priority to the next over an index
-- that may be full of dead entries. A superset: a pair is written with the first intent that needs it and dropped by
-- maintenance days after the last one. docs/decisions/0009-low-water-marks.md has why.
CREATE TABLE lane_priorities (
    lane     bigint NOT NULL,
    priority smallint NOT NULL,
    -- When a replica last made sure that the pair is here. It does so again after some hours at the latest.
    used_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, priority)
);
CREATE INDEX lane_priorities_used_at ON lane_priorities (used_at);
INSERT INTO lane_priorities (lane, priority)
SELECT DISTINCT lane, priority
FROM intents, unnest(ARRAY[own_goal_lane, own_lane, public_goal_lane, public_lane]) AS lane
WHERE lane IS NOT NULL;

-- Counters are locked before they are read, so each tenant has its rows from the start; new ones get them with their key.
INSERT INTO quotas (tenant_id, open_intents)
SELECT id, 0 FROM tenants WHERE id <> 0 ON CONFLICT DO NOTHING;
INSERT INTO rate_windows (tenant_id, seconds, hits)
SELECT id, '{}', '{}' FROM tenants WHERE id <> 0 ON CONFLICT DO NOTHING;
