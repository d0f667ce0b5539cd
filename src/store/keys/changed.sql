-- What every replica has to know within a second: keys that changed lately, for the caches to forget, and what is paused. The
-- minute is much longer than a change may take to commit after its clock was read, so none is missed between two looks.
--
-- A row has a key, or a namespace with a goal ('': all of the namespace).
-- Index: api_keys_changed_at; pauses is a small table.
SELECT key_hash, NULL::text AS namespace, NULL::text AS goal
FROM api_keys
WHERE changed_at > (SELECT clock_timestamp()) - interval '1 minute'
UNION ALL
SELECT NULL, namespace, goal FROM pauses
