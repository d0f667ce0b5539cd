-- Forgets the totals of what a purge has deleted.
--
-- $1 namespace (NULL: all)
-- Index: none; small tables.
WITH unfinished AS (
    DELETE FROM open_totals WHERE $1::text IS NULL OR namespace = $1
), by_goal AS (
    DELETE FROM open_goals WHERE $1::text IS NULL OR namespace = $1
)
DELETE FROM finished_totals WHERE $1::text IS NULL OR namespace = $1
