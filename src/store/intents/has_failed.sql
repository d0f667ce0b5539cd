-- After a lost answer to COMMIT: which of these attempts were failed with these errors?
--
-- One entry for each: $1 intent  $2 attempt  $3 error  $4 whether it was the last
-- Index: primary key of intents, and of each partition of finished. Failed before its last attempt, an intent may have gone on since,
-- and has the attempt among its past ones; failed for good, it ended by that attempt, and its lease did not end it.
SELECT item
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::boolean[]) WITH ORDINALITY AS failed (id, attempt, error, last, item)
WHERE EXISTS (
          SELECT FROM (
              SELECT past_attempts FROM intents WHERE intents.id = failed.id
              UNION ALL
              SELECT past_attempts FROM finished WHERE finished.id = failed.id
          ) AS one
          WHERE NOT last
            AND past_attempts @> jsonb_build_array(jsonb_build_object('attempt', attempt, 'outcome', 'failed', 'error', error))
      )
   OR EXISTS (
          SELECT FROM finished
          WHERE last AND finished.id = ANY (ARRAY[failed.id]) AND (state = 'dead') IS TRUE AND claim_attempts = attempt AND last_error = error
            AND claim_hash IS NULL
      )
