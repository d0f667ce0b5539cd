-- Replicas that gave a sign of life in the last hour: those that are alive first, and of each kind those that started last.
--
-- Index: none; a small table.
SELECT id, host, version, extract(epoch FROM started_at)::double precision AS started_at,
       extract(epoch FROM seen_at)::double precision AS seen_at,
       seen_at > clock_timestamp() - interval '30 seconds' AS alive
FROM replicas
WHERE seen_at > clock_timestamp() - interval '1 hour'
ORDER BY seen_at > clock_timestamp() - interval '30 seconds' DESC, started_at DESC
LIMIT 200
