-- How many workers have asked for work in the last 5 minutes, counted up to 10,000.
--
-- Index: workers_seen_at.
SELECT count(*) AS seen
FROM (SELECT FROM workers WHERE seen_at > (SELECT clock_timestamp()) - interval '5 minutes' LIMIT 10000) AS recent
