-- Rows, dead rows and sizes of our tables by Postgres's own statistics, partitions added up under the name of their table.
--
-- Index: catalogs. The size of a partition that is being dropped is NULL.
SELECT coalesce(parent.relname, leaf.relname)::text AS name,
       sum(leaf.n_live_tup)::bigint AS live, sum(leaf.n_dead_tup)::bigint AS dead,
       sum(coalesce(pg_total_relation_size(leaf.relid), 0))::bigint AS bytes,
       count(parent.oid) AS partitions
FROM pg_stat_user_tables AS leaf
LEFT JOIN pg_inherits ON inhrelid = leaf.relid
LEFT JOIN pg_class AS parent ON parent.oid = inhparent
WHERE leaf.schemaname = current_schema()
  AND NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = leaf.relid)
GROUP BY 1
ORDER BY 1
