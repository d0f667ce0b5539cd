-- Keys that changed lately, for the caches to forget. The minute is much longer than a change may take to commit after
-- its clock was read, so none is missed between two looks.
--
-- Index: api_keys_changed_at.
SELECT key_hash FROM api_keys WHERE changed_at > clock_timestamp() - interval '1 minute'
