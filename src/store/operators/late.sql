-- What was reported of claims of an intent after they had been lost.
--
-- $1 id  $2 bytes of a result that are shown
-- Index: primary key of late_results.
SELECT extract(epoch FROM received_at)::double precision AS at, attempt::integer AS attempt, outcome,
       substring(result FROM 1 FOR $2::integer) AS beginning, length(result)::bigint AS bytes, error
FROM late_results
WHERE intent_id = $1
ORDER BY received_at
LIMIT 100
