-- Who has this idempotency key: the request it was first used for and the id which the answer named.
--
-- $1 hash of tenant, path and key
-- Index: primary key of idempotency_keys, in the slots of this period, the one before and the one after (a clock that
-- passed the period's end between the two statements must not lose the key).
SELECT request_hash, intent_id
FROM idempotency_keys
WHERE hash = $1
  AND slot = ANY (ARRAY(
      SELECT ((floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint + ahead) % 4)::smallint
      FROM unnest(ARRAY[0, 1, 3]) AS ahead
  ))
LIMIT 1
