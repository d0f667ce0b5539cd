-- The ephemeral key-value store, by tenant.
CREATE TABLE key_values (
    tenant_id  bigint NOT NULL REFERENCES tenants (id),
    key        text NOT NULL,
    -- A JSON string literal, ready to be sent: strings as they came, other values as the text of their compact JSON.
    value      bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX key_values_expires_at ON key_values (expires_at);
