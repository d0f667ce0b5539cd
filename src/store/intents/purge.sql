-- Deletes a bounded number of intents, finished or not, with their payloads. Says how many; fewer than asked for means
-- that nothing is left.
--
-- $1 namespace (NULL: all)  $2 at most so many of each table
-- Index: none, it reads both tables: an operator's act, repeated until nothing is left, never on a client's request.
WITH gone AS (
    DELETE FROM intents
    WHERE id IN (
        SELECT id FROM intents WHERE $1::text IS NULL OR namespace = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, tenant_id, payload_day
), ended AS (
    DELETE FROM finished
    WHERE (id, finished_at) IN (
        SELECT id, finished_at FROM finished WHERE $1::text IS NULL OR namespace = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, payload_day
), given_back AS MATERIALIZED (
    SELECT kept.tenant_id, (SELECT count(*) FROM gone WHERE gone.tenant_id = kept.tenant_id) AS ended
    FROM quotas AS kept
    WHERE kept.tenant_id = ANY (ARRAY(SELECT tenant_id FROM gone))
    ORDER BY kept.tenant_id
    FOR UPDATE
), counted AS (
    UPDATE quotas
    SET open_intents = open_intents - given_back.ended
    FROM given_back
    WHERE quotas.tenant_id = ANY (ARRAY[given_back.tenant_id])
), payload AS (
    DELETE FROM payloads
    USING (SELECT id, payload_day FROM gone UNION ALL SELECT id, payload_day FROM ended) AS owner
    -- `=` for the second column: of two arrays the planner may leave the second to a filter, and read the day.
    WHERE payloads.day = ANY (ARRAY[owner.payload_day]) AND payloads.id = owner.id
), late AS (
    DELETE FROM late_results WHERE intent_id IN (SELECT id FROM gone UNION ALL SELECT id FROM ended)
)
SELECT (SELECT count(*) FROM gone) AS unfinished, (SELECT count(*) FROM ended) AS finished
