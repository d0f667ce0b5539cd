-- How many keys are in use (not revoked).
SELECT count(*) AS keys FROM api_keys WHERE revoked_at IS NULL
