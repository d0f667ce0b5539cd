-- Nonces and idempotency keys: rings of four slots by time. A slot is truncated as a whole, half a turn before it is used
-- again: no row is ever deleted, so there is nothing to scan and nothing to vacuum. docs/decisions/0003-rings.md has why.

-- Slot = (unix seconds / 600) mod 4. A nonce is looked for in this slot and the one before, so for 10 to 20 minutes.
CREATE TABLE nonces (
    slot smallint NOT NULL,
    -- The first 128 bits of SHA-256 over tenant and nonce.
    hash uuid NOT NULL,
    PRIMARY KEY (slot, hash)
) PARTITION BY LIST (slot);
CREATE TABLE nonces_0 PARTITION OF nonces FOR VALUES IN (0) WITH (autovacuum_vacuum_insert_scale_factor = 1);
CREATE TABLE nonces_1 PARTITION OF nonces FOR VALUES IN (1) WITH (autovacuum_vacuum_insert_scale_factor = 1);
CREATE TABLE nonces_2 PARTITION OF nonces FOR VALUES IN (2) WITH (autovacuum_vacuum_insert_scale_factor = 1);
CREATE TABLE nonces_3 PARTITION OF nonces FOR VALUES IN (3) WITH (autovacuum_vacuum_insert_scale_factor = 1);

-- Slot = (unix seconds / 86400) mod 4. A key is looked for in this slot and the one before, so for 24 to 48 hours.
CREATE TABLE idempotency_keys (
    slot         smallint NOT NULL,
    -- The first 128 bits of SHA-256 over tenant, path and key.
    hash         uuid NOT NULL,
    -- The first 128 bits of SHA-256 over the canonical JSON body.
    request_hash uuid NOT NULL,
    -- What the first answer named; NULL where the answer names nothing.
    intent_id    uuid,
    PRIMARY KEY (slot, hash)
) PARTITION BY LIST (slot);
CREATE TABLE idempotency_keys_0 PARTITION OF idempotency_keys FOR VALUES IN (0);
CREATE TABLE idempotency_keys_1 PARTITION OF idempotency_keys FOR VALUES IN (1);
CREATE TABLE idempotency_keys_2 PARTITION OF idempotency_keys FOR VALUES IN (2);
CREATE TABLE idempotency_keys_3 PARTITION OF idempotency_keys FOR VALUES IN (3);

-- The period (unix seconds / length) for which each slot was last emptied.
CREATE TABLE ring_slots (
    ring            text NOT NULL CHECK (ring IN ('nonces', 'idempotency_keys')),
    slot            smallint NOT NULL CHECK (slot BETWEEN 0 AND 3),
    emptied_for     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (ring, slot)
);
INSERT INTO ring_slots (ring, slot)
SELECT ring, slot FROM unnest(ARRAY['nonces', 'idempotency_keys']) AS ring, generate_series(0, 3) AS slot;
