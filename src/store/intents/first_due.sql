-- The first due intents of lanes, locked or not, for the low-water marks: nothing is before them.
--
-- $1 lanes  $2 whether each is a public one  $3 priorities  $4 moments before which there is nothing, for each
-- $5 time to live of an unclaimed intent in seconds
-- $6 namespaces and $7 goals that are paused ('': the whole namespace): marks may pass over them
-- {own}, {public}: as in claim.sql
-- Indexes: as claim.sql. With a pinned xmin this walks over the dead entries since $4.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), asked AS MATERIALIZED (
    SELECT lane, public, priority, greatest(after, now - make_interval(secs => $5::double precision)) AS after
    FROM clock, unnest($1::bigint[], $2::boolean[], $3::smallint[], $4::timestamptz[]) AS each (lane, public, priority, after)
)
SELECT lane, asked.priority, (SELECT now FROM clock) AS now, due.visible_at
FROM asked
LEFT JOIN LATERAL (
    (
        SELECT visible_at
        FROM intents
        WHERE NOT asked.public AND {own} = asked.lane AND priority = asked.priority
          AND visible_at > asked.after AND visible_at <= (SELECT now FROM clock)
          AND NOT EXISTS (
              SELECT FROM unnest($6::text[], $7::text[]) AS paused (namespace, goal)
              WHERE paused.namespace = intents.namespace AND paused.goal IN ('', intents.goal)
          )
        ORDER BY visible_at
        LIMIT 1
    )
    UNION ALL
    (
        SELECT visible_at
        FROM intents
        WHERE asked.public AND {public} = asked.lane AND priority = asked.priority
          AND visible_at > asked.after AND visible_at <= (SELECT now FROM clock)
          AND NOT EXISTS (
              SELECT FROM unnest($6::text[], $7::text[]) AS paused (namespace, goal)
              WHERE paused.namespace = intents.namespace AND paused.goal IN ('', intents.goal)
          )
        ORDER BY visible_at
        LIMIT 1
    )
) AS due ON true
