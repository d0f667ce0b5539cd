-- Lets all requests in, or none: what comes first of a flight in which nobody has limits. Where one of them has to be refused
-- nothing is done, and admit.sql, which looks at each, takes its place. Like that it is the beginning of a statement.
--
-- $1 to $4 as in admit.sql. {also}: what is stored beside the nonces, or nothing
-- {is_now}, {slot}, {slot_before} as there; in the last 30 s of a period this text is not used
-- {holds}: what else must hold
--
-- `fits`: whether all are let in. `verdicts`: an array as in admit.sql, with the same number for each: 0, or 5 when it is not this
-- text's time, 7 when a request is stale or was replayed in the period before, 8 when {holds} does not hold.
--
-- A nonce of this period that comes again violates the unique index, and with that the statement fails.
--
-- Index: the primary key of the nonces, in two of their partitions. Trap: nonces have to be stored before anything else is locked, as
-- admit.sql does, and in ascending order; or two statements that have one of them in common wait for each other. Hence `fits` reads
-- what was stored.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), period AS MATERIALIZED (
    SELECT unix, floor(unix / 600)::bigint AS number
    FROM (SELECT extract(epoch FROM now)::double precision AS unix FROM clock) AS at
), judged AS MATERIALIZED (
    SELECT CASE
               WHEN NOT ({is_now}) THEN 5
               WHEN EXISTS (SELECT FROM unnest($3::bigint[]) AS signed (at) WHERE abs(unix - signed.at) > 300) THEN 7
               WHEN EXISTS (
                   SELECT FROM {nonces_before} AS used
                   WHERE used.slot = {slot_before} AND used.hash = ANY ($2::uuid[] {also})
               ) THEN 7
               WHEN NOT ({holds}) THEN 8
               ELSE 0
           END::smallint AS verdict
    FROM period
    -- Always true: every variant has the same parameters.
    WHERE $4::integer[] IS NOT NULL
), stored AS (
    INSERT INTO {nonces} (slot, hash)
    SELECT {slot}, nonce
    FROM judged, period, unnest($2::uuid[] {also}) AS asked (nonce)
    WHERE verdict = 0 AND nonce IS NOT NULL
    ORDER BY nonce
    RETURNING slot
), fits AS MATERIALIZED (
    SELECT verdict = 0 AND (SELECT count(*) FROM stored) >= 0 AS fits FROM judged
), verdicts AS (
    SELECT array_fill(verdict, ARRAY[cardinality($1::bigint[])]) AS verdicts FROM judged
)
