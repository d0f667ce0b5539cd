-- Copies the payloads of long-lived intents into today's partition, so that the old one can be dropped.
--
-- $1 ids  $2 only payloads older than so many days
-- Index: primary keys of intents and of one partition of payloads for each row.
WITH today AS MATERIALIZED (
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day
), old AS MATERIALIZED (
    SELECT id, payload_day
    FROM intents, today
    WHERE id = ANY ($1::uuid[]) AND payload_day < today.day - $2::integer
    FOR UPDATE OF intents SKIP LOCKED
), copied AS (
    INSERT INTO payloads (day, id, payload, reward)
    SELECT today.day, kept.id, kept.payload, kept.reward
    FROM today, old, LATERAL (
        SELECT id, payload, reward FROM payloads WHERE payloads.day = old.payload_day AND payloads.id = old.id LIMIT 1
    ) AS kept
    ON CONFLICT DO NOTHING
)
UPDATE intents SET payload_day = today.day FROM old, today WHERE intents.id = ANY (ARRAY[old.id])
RETURNING intents.id
