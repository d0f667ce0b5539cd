-- Lets all requests in, or none: what comes first of a flight in which nobody has limits. Where one of them has to be refused
-- nothing is done, and admit.sql, which looks at each, takes its place. Like that it is the beginning of a statement.
--
-- $1 to $4 as in admit.sql. {also}: what is stored beside the nonces, or nothing
-- {is_now}, {slot}, {slot_before} as there; in the last 30 s of a period this text is not used
-- {before}: more that {holds} reads, or nothing  {holds}: what else must hold  {given}: parameters that this variant has no use for.
-- {before} and {given} begin with a comma.
--
-- `fits`: one row if all are let in, with the database's clock and its day in UTC; else none. `verdicts`: the clock, and an array as in
-- admit.sql, with the same number for each: 0, or 5 when it is not this text's time (or a parameter is missing), 7 when a request is
-- stale or was replayed in the period before, 8 when {holds} does not hold.
--
-- A nonce of this period that comes again violates the unique index, and with that the statement fails.
--
-- Index: the primary key of the nonces, in two of their partitions. Trap: nonces have to be stored before anything else is locked, as
-- admit.sql does, and in ascending order; or two statements that have one of them in common wait for each other. Hence `fits` reads
-- what was stored.
-- Each node of a plan costs its start, 2 to 5 us, with every flight: what can be read where it is needed anyway is handed on.
WITH clock AS MATERIALIZED (
    SELECT now, extract(epoch FROM now)::double precision AS unix FROM (SELECT clock_timestamp() AS now OFFSET 0) AS at
){before}, judged AS MATERIALIZED (
    SELECT now, unix,
           CASE
               -- Every variant has the same parameters, and they are all given.
               WHEN NOT ({is_now}) OR num_nulls($4::integer[] {given}) > 0 THEN 5
               WHEN EXISTS (SELECT FROM unnest($3::bigint[]) AS signed (at) WHERE abs(unix - signed.at) > 300) THEN 7
               WHEN EXISTS (
                   SELECT FROM {nonces_before} AS used
                   WHERE used.slot = {slot_before} AND used.hash = ANY ($2::uuid[] {also})
               ) THEN 7
               WHEN NOT ({holds}) THEN 8
               ELSE 0
           END::smallint AS verdict
    FROM clock
), stored AS (
    INSERT INTO {nonces} (slot, hash)
    SELECT {slot}, nonce
    FROM judged, unnest($2::uuid[] {also}) AS asked (nonce)
    WHERE verdict = 0 AND nonce IS NOT NULL
    ORDER BY nonce
    RETURNING slot
), fits AS MATERIALIZED (
    SELECT now, (now AT TIME ZONE 'UTC')::date AS day
    FROM judged
    WHERE verdict = 0 AND (SELECT count(*) FROM stored) >= 0
), verdicts AS (
    SELECT array_fill(verdict, ARRAY[cardinality($1::bigint[])]) AS verdicts, now FROM judged
)
