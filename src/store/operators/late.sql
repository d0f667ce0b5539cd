-- What was reported of claims of an intent after they had been lost.
--
-- $1 id  $2 bytes of a result that are shown
-- Index: primary key of late_results.
SELECT extract(epoch FROM received_at)::double precision AS at, attempt::integer AS attempt, outcome,
       substring(result FROM 1 FOR $2::integer) AS beginning, length(result)::bigint AS bytes, error
-- Apart, or the index of all by their time might be walked for the order's sake.
FROM (SELECT * FROM late_results WHERE intent_id = $1 OFFSET 0) AS of_intent
ORDER BY received_at
LIMIT 100
