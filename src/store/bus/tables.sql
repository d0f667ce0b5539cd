-- Rows, dead rows and sizes of our tables by Postgres's own statistics; of those that have partitions by partition. The largest
-- first.
--
-- Index: catalogs. The size of a partition that is being dropped is NULL.
SELECT coalesce(parent.relname, leaf.relname)::text AS name,
       CASE WHEN parent.oid IS NOT NULL THEN leaf.relname::text END AS partition,
       leaf.n_live_tup AS live, leaf.n_dead_tup AS dead, coalesce(pg_total_relation_size(leaf.relid), 0) AS bytes
FROM pg_stat_user_tables AS leaf
LEFT JOIN pg_inherits ON inhrelid = leaf.relid
LEFT JOIN pg_class AS parent ON parent.oid = inhparent
WHERE leaf.schemaname = current_schema()
  AND NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = leaf.relid)
ORDER BY bytes DESC, 1, 2
