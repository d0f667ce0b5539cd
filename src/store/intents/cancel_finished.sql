-- Cancels an intent that has ended already: whatever it was, it is dead now. Its result stays. The totals
-- follow, if they have it already.
--
-- $1 id  $2 reason (kept only where it was fulfilled)
-- Index: primary key of each partition of finished.
WITH progress AS MATERIALIZED (
    SELECT finished_until FROM totals_progress FOR UPDATE
), before AS MATERIALIZED (
    SELECT id, finished_at, namespace, state FROM finished WHERE id = $1 FOR UPDATE
), recounted AS (
    INSERT INTO finished_totals AS total (day, namespace, state, count)
    SELECT (finished_at AT TIME ZONE 'UTC')::date, namespace, changed.state, changed.count
    FROM before, progress, (VALUES ('fulfilled'::intent_state, -1), ('dead', 1)) AS changed (state, count)
    WHERE before.state = 'fulfilled' AND finished_at <= finished_until
    ON CONFLICT (day, namespace, state) DO UPDATE SET count = total.count + EXCLUDED.count
)
UPDATE finished
SET state = 'dead',
    -- By its fulfilment, which was in time.
    claim_hash = CASE WHEN before.state = 'dead' THEN claim_hash END,
    last_error = CASE WHEN before.state = 'dead' THEN last_error ELSE $2 END
FROM before
WHERE finished.id = ANY (ARRAY[before.id]) AND finished.finished_at = before.finished_at
RETURNING finished.id, finished.namespace, goal, claim_attempts, worker_id
