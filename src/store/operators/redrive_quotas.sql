-- Locks the counters of tenants in ascending order: see the lock order at `quotas`.
--
-- $1 tenants
-- Index: primary key of quotas.
SELECT tenant_id FROM quotas WHERE tenant_id = ANY ($1::bigint[]) ORDER BY tenant_id FOR UPDATE
