-- Counts the unfinished intents, if the last count is old enough: five seconds, or twenty times as long as it took, so that
-- counting never takes more than a twentieth of one core. No row comes back when it is not due or another replica is at it.
--
-- $1 time to live in seconds
-- Index: none, it reads the whole table; on a timer, by one replica.
-- Of the goals, those with the most unfinished intents and those with the oldest claimable ones are kept apart, the rest is
-- added up.
WITH due AS MATERIALIZED (
    SELECT clock_timestamp() AS started
    FROM open_totals_progress
    WHERE counted_at + greatest(interval '5 seconds', 20 * counting_took) <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
), counted AS MATERIALIZED (
    SELECT namespace, goal,
           CASE
               WHEN state = 'claimed' AND lease_until > started THEN 'claimed'
               WHEN visible_at <= started - make_interval(secs => $1::double precision) THEN 'expired'
               WHEN claim_attempts >= max_attempts THEN 'lapsed'
               WHEN visible_at <= started THEN 'claimable'
               WHEN state = 'claimed' THEN 'past_lease'
               ELSE 'waiting'
           END AS phase,
           count(*) AS count, min(visible_at) AS oldest_at
    FROM intents, due
    GROUP BY 1, 2, 3
), totals AS MATERIALIZED (
    SELECT namespace,
           CASE
               WHEN phase = 'claimed' THEN 'claimed'
               WHEN phase IN ('expired', 'lapsed') THEN 'dead'
               ELSE 'open'
           END::intent_state AS state,
           sum(count)::bigint AS count
    FROM counted
    GROUP BY 1, 2
), gone AS (
    DELETE FROM open_totals
    USING due
    WHERE (namespace, state) NOT IN (SELECT namespace, state FROM totals)
), stored AS (
    INSERT INTO open_totals (namespace, state, count)
    SELECT namespace, state, count FROM totals
    ON CONFLICT (namespace, state) DO UPDATE SET count = EXCLUDED.count
), by_goal AS MATERIALIZED (
    SELECT namespace, goal,
           coalesce(sum(count) FILTER (WHERE phase = 'claimable'), 0) AS claimable,
           coalesce(sum(count) FILTER (WHERE phase = 'waiting'), 0) AS waiting,
           coalesce(sum(count) FILTER (WHERE phase = 'claimed'), 0) AS claimed,
           coalesce(sum(count) FILTER (WHERE phase IN ('past_lease', 'lapsed')), 0) AS past_lease,
           min(oldest_at) FILTER (WHERE phase = 'claimable') AS oldest_at
    FROM counted
    WHERE phase <> 'expired'
    GROUP BY 1, 2
), ranked AS MATERIALIZED (
    SELECT *,
           row_number() OVER (ORDER BY claimable + waiting + claimed + past_lease DESC, namespace, goal) <= 25
               OR row_number() OVER (ORDER BY oldest_at NULLS LAST, namespace, goal) <= 25 AS apart
    FROM by_goal
), goals AS MATERIALIZED (
    SELECT CASE WHEN apart THEN namespace ELSE '' END AS namespace, CASE WHEN apart THEN goal ELSE '' END AS goal,
           sum(claimable)::bigint AS claimable, sum(waiting)::bigint AS waiting, sum(claimed)::bigint AS claimed,
           sum(past_lease)::bigint AS past_lease, min(oldest_at) AS oldest_at
    FROM ranked
    GROUP BY 1, 2
), gone_goals AS (
    DELETE FROM open_goals
    USING due
    WHERE (namespace, goal) NOT IN (SELECT namespace, goal FROM goals)
), stored_goals AS (
    INSERT INTO open_goals (namespace, goal, claimable, waiting, claimed, past_lease, oldest_at)
    SELECT namespace, goal, claimable, waiting, claimed, past_lease, oldest_at FROM goals
    ON CONFLICT (namespace, goal) DO UPDATE
    SET claimable = EXCLUDED.claimable, waiting = EXCLUDED.waiting, claimed = EXCLUDED.claimed,
        past_lease = EXCLUDED.past_lease, oldest_at = EXCLUDED.oldest_at
)
UPDATE open_totals_progress
SET counted_at = clock_timestamp(), counting_took = clock_timestamp() - started
FROM due, (SELECT count(*) FROM counted) AS done
RETURNING 1
