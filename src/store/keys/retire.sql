-- Revokes keys that have ended by themselves, so that replicas of the release before, which know no end, refuse them too.
--
-- Index: none, it reads all keys; on a timer.
UPDATE api_keys
SET revoked_at = expires_at, changed_at = clock_timestamp()
WHERE expires_at <= clock_timestamp() AND revoked_at IS NULL
