-- Figures of the whole bus, for metrics. One row.
--
-- $1 whether keys are to be counted: all of them are read for that
-- Indexes: workers_seen_at; small tables, and what Postgres knows of itself. Of other roles' sessions only a member of
-- pg_read_all_stats sees which keep dead rows from being removed.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now,
       (SELECT extract(epoch FROM counted_at)::double precision FROM open_totals_progress WHERE counted_at > '-infinity')
           AS counted_at,
       CASE WHEN $1::boolean THEN (
           SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
       ) END AS keys,
       (SELECT count(*) FROM replicas WHERE seen_at > clock_timestamp() - interval '30 seconds') AS replicas,
       (SELECT count(*) FROM workers WHERE seen_at > (SELECT clock_timestamp()) - interval '5 minutes') AS workers,
       (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - since)), 0)::double precision
        FROM (
            SELECT xact_start AS since
            FROM pg_stat_activity
            WHERE coalesce(backend_xmin, backend_xid) IS NOT NULL AND pid <> pg_backend_pid()
              AND datname = current_database()
            UNION ALL
            SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()
        ) AS snapshots) AS oldest_snapshot
