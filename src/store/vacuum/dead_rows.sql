-- How many rows of `intents` are dead, by Postgres's own count. Sessions report to it when they pause, and once a second.
SELECT pg_stat_get_dead_tuples('intents'::regclass) AS dead
