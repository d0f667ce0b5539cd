-- Claims the next intents, of one goal or of any, for requests that reach for the same. Follows admission/admit.sql, whose $1
-- to $4 are the requests.
--
-- One text for both: {own} and {public} stand for the pair of lane columns, own_goal_lane and public_goal_lane, or own_lane
-- and public_lane. With `--if all` it follows admit_all.sql, and there is only one place to look: of the lanes one of the tenant's
-- own is in use, and that at one priority. Most claims are like that, and this costs the server a quarter less.
--
-- $5 own lanes  $6 public lanes (each: every mix of no target or this worker, no capability or one of the worker's)
-- $7 namespace  $8 goal (NULL: any)  $9 capabilities  $10 tenant whose intents the own lanes stand for (or NULL)
-- $11 lease in seconds  $12 time to live of an unclaimed intent in seconds
-- One entry for each intent wanted: $13 number of its request  $14 hash of its claim token  $15 worker (or NULL)
-- $16 number of a request and $17 a lane of intents meant for its worker: the request is left out if there may be any
-- $18 lanes, $19 priorities, $20 their low-water marks: nothing that is due stands at or before that moment
-- $21 so many more than are wanted are looked at, should others hold what stands in front
-- $22 a number that only tries of this very statement share (NULL: there is one try, or tries know each other by their nonces)
-- $23 goals that are paused
-- For each intent wanted, as $13 to $15, where the request has an id (else NULL): $24 what the claim is found again by  $25 what its
-- token is made of
--
-- First row: the verdicts, the database's clock, and whether others held some of what was in front (then there may be more).
-- Then a row for each intent claimed, with the number of its entry among
-- those let in, and where it stood (for the marks).
--
-- Indexes: lane_priorities; intents_own_goal, intents_public_goal, or intents_own, intents_public. Within a lane the intents
-- stand by priority and then by the moment from which they may be claimed, so those not yet due (delayed, leased, backing
-- off) stand behind the due ones of their priority. Hence one look for each priority that occurs in the lane.
--
-- Traps:
--   * Rows must be locked in a CTE of their own: as a join or sub-select of the UPDATE the planner may lock more rows than it
--     takes. Where there is one place to look the index is walked with locks (only_pair). Where there are several, the first
--     rows of all of them are merged without locks (front) and then locked in that order, no more than are wanted: locks on
--     the heads of all lanes would hide them from every other claim.
--   * Lanes are walked by `visible_at` alone, which is what their indexes hold. Only among what was found the rest of the
--     order decides: two intents of the same microsecond, of which one is wanted, may come in any order.
--   * A public intent stands in its publisher's own lane too: DISTINCT.
--   * Lanes are hashes: what they stand for is compared once more on the rows that are locked.
--   * Dead index entries before a low-water mark are not visited again; with a pinned xmin they stay for hours.
--   * The payload may be of another day than this text's, or have been moved to another since this statement began. Then it
--     comes back NULL, and is looked for by the day that comes with it.
--   * `= ANY (ARRAY[…])`, not `=`, where rows are joined by their ids, and `(visible_at = …) IS TRUE`, lest an index of another
--     lane be walked for that moment: docs/architecture.md, Plans.
--   * clock_timestamp(), not now(): the transaction may have waited since it began.
--if all
, pair AS MATERIALIZED (
    SELECT lane, priority, now, cardinality($13::integer[]) AS wanted, greatest(
               (
                   SELECT mark
                   FROM unnest($18::bigint[], $19::smallint[], $20::timestamptz[]) AS marks (lane, priority, mark)
                   WHERE marks.lane = there.lane AND marks.priority = there.priority
               ),
               now - make_interval(secs => $12::double precision)
           ) AS after
    FROM fits, there
), picked AS MATERIALIZED (
    SELECT {own} AS lane, id, priority, visible_at, claim_attempts, created_at
    FROM intents
    WHERE tenant_id = $10 AND {own} = (SELECT lane FROM pair) AND priority = (SELECT priority FROM pair)
      AND visible_at <= (SELECT now FROM pair) AND visible_at > (SELECT after FROM pair)
      AND namespace = $7 AND ($8::text IS NULL OR goal = $8) AND goal <> ALL ($23::text[])
      AND (target_worker IS NULL OR target_worker = ($15::text[])[1])
      AND (required_capability IS NULL OR required_capability = ANY ($9::text[]))
    ORDER BY visible_at
    LIMIT coalesce((SELECT wanted FROM pair), 0)
    FOR UPDATE SKIP LOCKED
--else
, wanted AS MATERIALIZED (
    -- Sorted once: each ORDER BY inside an aggregate would sort for itself.
    SELECT array_agg(token) AS tokens, array_agg(worker) AS workers, array_agg(item::integer) AS items,
           array_agg(place) AS places, array_agg(salt) AS salts, count(*) AS count
    FROM (
        SELECT *
        FROM unnest($13::integer[], $14::uuid[], $15::text[], $24::uuid[], $25::uuid[]) WITH ORDINALITY
            AS each (request, token, worker, place, salt, item)
        WHERE (SELECT verdicts FROM verdicts)[request] = 0
        ORDER BY item
    ) AS each
), pairs AS MATERIALIZED (
    SELECT own, lane, priority,
           greatest(marks.mark, now - make_interval(secs => $12::double precision)) AS after
    FROM clock, (
        SELECT true AS own, mine.lane, there.priority
        FROM unnest($5::bigint[]) AS mine (lane),
             LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = mine.lane OFFSET 0) AS there
        UNION ALL
        SELECT false, open.lane, there.priority
        FROM unnest($6::bigint[]) AS open (lane),
             LATERAL (SELECT priority FROM lane_priorities WHERE lane_priorities.lane = open.lane OFFSET 0) AS there
    ) AS pair
    LEFT JOIN unnest($18::bigint[], $19::smallint[], $20::timestamptz[]) AS marks (lane, priority, mark)
        USING (lane, priority)
    WHERE (SELECT count FROM wanted) > 0
), only_pair AS MATERIALIZED (
    SELECT * FROM pairs WHERE (SELECT count(*) FROM pairs) = 1
), front AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT DISTINCT ON (head.id) own, lane, pairs.priority, head.*
        FROM pairs, LATERAL (
            (
                SELECT visible_at, claim_attempts, created_at, id
                FROM intents
                WHERE pairs.own AND {own} = pairs.lane AND priority = pairs.priority
                  AND visible_at <= (SELECT now FROM clock) AND visible_at > pairs.after
                  AND goal <> ALL ($23::text[])
                ORDER BY visible_at
                LIMIT (SELECT count FROM wanted) + $21::bigint
            )
            UNION ALL
            (
                SELECT visible_at, claim_attempts, created_at, id
                FROM intents
                WHERE NOT pairs.own AND {public} = pairs.lane AND priority = pairs.priority
                  AND visible_at <= (SELECT now FROM clock) AND visible_at > pairs.after
                  AND goal <> ALL ($23::text[])
                ORDER BY visible_at
                LIMIT (SELECT count FROM wanted) + $21::bigint
            )
        ) AS head
        WHERE (SELECT count(*) FROM pairs) > 1
        ORDER BY head.id, own DESC
    ) AS once
    ORDER BY priority DESC, visible_at, claim_attempts, created_at, id
    LIMIT (SELECT count FROM wanted) + $21::bigint
), picked AS MATERIALIZED (
    SELECT only_pair.lane, taken.*
    FROM only_pair, LATERAL (
        SELECT * FROM (
            SELECT id, priority, visible_at, claim_attempts, created_at
            FROM intents
            WHERE only_pair.own AND tenant_id = $10 AND {own} = only_pair.lane AND priority = only_pair.priority
              AND visible_at <= (SELECT now FROM clock) AND visible_at > only_pair.after
              AND namespace = $7 AND ($8::text IS NULL OR goal = $8) AND goal <> ALL ($23::text[])
              AND (target_worker IS NULL OR target_worker = ($15::text[])[1])
              AND (required_capability IS NULL OR required_capability = ANY ($9::text[]))
            ORDER BY visible_at
            LIMIT (SELECT count FROM wanted)
            FOR UPDATE SKIP LOCKED
        ) AS own_rows
        UNION ALL
        SELECT * FROM (
            SELECT id, priority, visible_at, claim_attempts, created_at
            FROM intents
            WHERE NOT only_pair.own AND {public} = only_pair.lane AND priority = only_pair.priority
              AND visible_at <= (SELECT now FROM clock) AND visible_at > only_pair.after
              AND namespace = $7 AND ($8::text IS NULL OR goal = $8) AND goal <> ALL ($23::text[])
              AND (target_worker IS NULL OR target_worker = ($15::text[])[1])
              AND (required_capability IS NULL OR required_capability = ANY ($9::text[]))
            ORDER BY visible_at
            LIMIT (SELECT count FROM wanted)
            FOR UPDATE SKIP LOCKED
        ) AS public_rows
    ) AS taken
    UNION ALL
    (
        SELECT head.lane, taken.*
        FROM (SELECT * FROM front ORDER BY priority DESC, visible_at, claim_attempts, created_at, id) AS head, LATERAL (
            SELECT id, priority, visible_at, claim_attempts, created_at
            FROM intents
            WHERE id = head.id AND (visible_at = head.visible_at) IS TRUE
              AND CASE WHEN head.own THEN tenant_id = $10 ELSE public_lane IS NOT NULL END
              AND namespace = $7 AND ($8::text IS NULL OR goal = $8) AND goal <> ALL ($23::text[])
              AND (target_worker IS NULL OR target_worker = ($15::text[])[1])
              AND (required_capability IS NULL OR required_capability = ANY ($9::text[]))
            FOR UPDATE SKIP LOCKED
        ) AS taken
        LIMIT (SELECT count FROM wanted)
    )
--end
), placed AS MATERIALIZED (
    SELECT array_agg(id) AS ids, array_agg(lane) AS lanes, array_agg(visible_at) AS stood_at, count(*) AS count,
           (SELECT now FROM clock) AS now
    FROM (SELECT * FROM picked ORDER BY priority DESC, visible_at, claim_attempts, created_at, id) AS picked
), handed_out AS MATERIALIZED (
    -- The first intent goes to the first who asked, and so on.
    SELECT each.*, now
--if all
    FROM placed, unnest(ids, lanes, stood_at, $14::uuid[], $15::text[], $24::uuid[], $25::uuid[]) WITH ORDINALITY
        AS each (id, lane, stood_at, token, worker, place, salt, item)
--else
    FROM placed, wanted, unnest(ids, lanes, stood_at, tokens, workers, places, salts, items)
        AS each (id, lane, stood_at, token, worker, place, salt, item)
--end
    WHERE each.id IS NOT NULL
), claimed AS (
    UPDATE intents
    SET state = 'claimed',
        claim_attempts = claim_attempts + 1,
        claim_hash = handed_out.token,
        claim_request = handed_out.place,
        claim_salt = handed_out.salt,
        claim_repeated = false,
        claimed_by = ($1::bigint[])[1],
        worker_id = handed_out.worker,
        claimed_at = now,
        past_attempts = CASE WHEN state = 'open' THEN past_attempts ELSE coalesce(past_attempts, '[]') || jsonb_build_object(
            'attempt', claim_attempts, 'worker', worker_id, 'tenant', claimed_by,
            'claimed_at', extract(epoch FROM claimed_at), 'ended_at', extract(epoch FROM lease_until), 'outcome', 'lapsed',
            'claim', claim_hash
        ) END,
        lease_until = now + make_interval(secs => $11::double precision),
        visible_at = CASE
            WHEN claim_attempts + 1 >= max_attempts THEN 'infinity'
            ELSE now + make_interval(
                secs => $11::double precision + backoff_base * 2.0 ^ (claim_attempts + 1) + 2 * random())
        END
    FROM handed_out
    WHERE intents.id = ANY (ARRAY[handed_out.id])
    RETURNING handed_out.item::integer, intents.id, namespace, goal, claim_attempts, priority, target_worker,
        required_capability, intents.payload_day, handed_out.lane, handed_out.stood_at, traceparent,
        past_attempts -> -1 ->> 'outcome' = 'lapsed' AS lapsed
)
SELECT verdicts, now,
--if all
       false AS short,
--else
       (SELECT count FROM placed) < (SELECT least(count, (SELECT count(*) FROM front)) FROM wanted) AS short,
--end
       NULL::integer AS item, NULL::uuid AS id, NULL::text AS namespace, NULL::text AS goal,
       NULL::smallint AS claim_attempts, NULL::smallint AS priority, NULL::text AS target_worker,
       NULL::text AS required_capability, NULL::text AS payload_day, NULL::bigint AS lane, NULL::timestamptz AS stood_at,
       NULL::bytea AS payload, NULL::text AS traceparent, NULL::boolean AS lapsed
FROM verdicts
--if all
--else
   , clock
--end
UNION ALL
SELECT NULL, NULL, NULL, item, id, namespace, goal, claim_attempts, priority, target_worker, required_capability,
       payload_day::text, lane, stood_at,
       (SELECT payload FROM {payloads} AS kept WHERE kept.day = claimed.payload_day AND kept.id = claimed.id),
       traceparent, lapsed
FROM claimed
