-- Counts the unfinished intents, if the last count is old enough: five seconds, or twenty times as long as it took, so that
-- counting never takes more than a twentieth of one core. No row comes back when it is not due or another replica is at it.
--
-- $1 time to live in seconds
-- Index: none, it reads the whole table; on a timer, by one replica.
WITH due AS MATERIALIZED (
    SELECT clock_timestamp() AS started
    FROM open_totals_progress
    WHERE counted_at + greatest(interval '5 seconds', 20 * counting_took) <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
), counted AS MATERIALIZED (
    SELECT namespace,
           CASE
               WHEN state = 'claimed' AND lease_until > started THEN 'claimed'
               WHEN claim_attempts >= max_attempts OR visible_at <= started - make_interval(secs => $1::double precision)
                   THEN 'dead'
               ELSE 'open'
           END::intent_state AS state,
           count(*) AS count
    FROM intents, due
    GROUP BY 1, 2
), gone AS (
    DELETE FROM open_totals
    USING due
    WHERE (namespace, state) NOT IN (SELECT namespace, state FROM counted)
), stored AS (
    INSERT INTO open_totals (namespace, state, count)
    SELECT namespace, state, count FROM counted
    ON CONFLICT (namespace, state) DO UPDATE SET count = EXCLUDED.count
)
UPDATE open_totals_progress
SET counted_at = clock_timestamp(), counting_took = clock_timestamp() - started
FROM due, (SELECT count(*) FROM counted) AS done
RETURNING 1
