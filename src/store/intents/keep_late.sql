-- Keeps what was reported of claims that had been lost: their leases had ended, and the intents were claimed again or buried.
-- Nothing else is kept: a token that was never given out, another tenant's, or one whose claim ended otherwise.
--
-- One entry for each report: $1 id  $2 hash of the claim token  $3 outcome  $4 result  $5 its type  $6 error (in bytes,
-- so that a log of parameters does not have what strangers say)  $7 tenant that claimed
-- Index: primary keys of intents, of each partition of finished, and of late_results.
INSERT INTO late_results (intent_id, claim_hash, attempt, outcome, result, result_type, error)
SELECT late.id, late.token, lost.attempt, late.outcome, late.result, late.result_type,
       convert_from(late.error, 'UTF8')
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bytea[], $7::bigint[])
         AS late (id, token, outcome, result, result_type, error, tenant),
     LATERAL (
         SELECT (past ->> 'attempt')::smallint AS attempt
         FROM (
             SELECT past_attempts FROM intents WHERE id = late.id
             UNION ALL
             SELECT past_attempts FROM finished WHERE id = late.id
         ) AS intent, jsonb_array_elements(intent.past_attempts) AS past
         WHERE past ->> 'claim' = late.token::text AND (past ->> 'tenant')::bigint = late.tenant
         UNION ALL
         SELECT claim_attempts FROM finished WHERE id = late.id AND (state = 'dead') IS TRUE AND claim_hash = late.token AND claimed_by = late.tenant
     ) AS lost
ON CONFLICT DO NOTHING
RETURNING intent_id, attempt
