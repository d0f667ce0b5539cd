-- The life of an intent: a narrow row here while it is unfinished, its payload apart, its end in `finished`.

CREATE TYPE intent_state AS ENUM ('open', 'claimed', 'fulfilled', 'dead');

-- Unfinished intents. The queue is kept by `visible_at`, the moment from which a claim may take the row:
--   open     run_at
--   claimed  the end of the lease plus the backoff (infinity after the last attempt), so that an expired lease is
--            claimable again with no background pass
-- A row is no longer claimable once `visible_at` is older than the time to live.
--
-- Lanes are 64-bit hashes of what a claim must match exactly: (tenant or public, namespace, goal or any, target,
-- capability). One claim looks into a handful of lanes, each a prefix of one index, whatever else stands in the table.
CREATE TABLE intents (
    id                  uuid PRIMARY KEY,
    tenant_id           bigint NOT NULL,
    own_goal_lane       bigint NOT NULL,
    own_lane            bigint NOT NULL,
    public_goal_lane    bigint,
    public_lane         bigint,
    created_at          timestamptz NOT NULL,
    run_at              timestamptz NOT NULL,
    visible_at          timestamptz NOT NULL,
    lease_until         timestamptz,
    claimed_by          bigint,
    -- The first 128 bits of the SHA-256 of the claim token.
    claim_hash          uuid,
    backoff_base        double precision NOT NULL CHECK (backoff_base BETWEEN 1 AND 3600),
    payload_day         date NOT NULL,
    state               intent_state NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'claimed')),
    priority            smallint NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    claim_attempts      smallint NOT NULL DEFAULT 0 CHECK (claim_attempts >= 0),
    max_attempts        smallint NOT NULL CHECK (max_attempts BETWEEN 1 AND 20),
    -- The publisher asked for retries (a 2.x request, or max_attempts or backoff_base in the body).
    has_retry_policy    boolean NOT NULL,
    namespace           text NOT NULL,
    goal                text NOT NULL,
    target_worker       text,
    required_capability text,
    worker_id           text,
    last_error          text,
    CHECK ((public_goal_lane IS NULL) = (public_lane IS NULL)),
    CHECK (claim_attempts <= max_attempts),
    -- Open: nobody holds it and an attempt is left. Claimed: somebody does, by one token and until one moment.
    CONSTRAINT intents_open_is_free CHECK (
        state <> 'open' OR (claim_hash IS NULL AND lease_until IS NULL AND claim_attempts < max_attempts)
    ),
    CONSTRAINT intents_claimed_is_held CHECK (
        state <> 'claimed'
        OR (claim_hash IS NOT NULL AND lease_until IS NOT NULL AND claimed_by IS NOT NULL AND claim_attempts > 0
            AND visible_at >= lease_until AND (visible_at = 'infinity') = (claim_attempts = max_attempts))
    )
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

-- The order of claims, behind each kind of lane.
CREATE INDEX intents_own_goal ON intents
    (own_goal_lane, priority DESC, visible_at, claim_attempts, created_at, id);
CREATE INDEX intents_own ON intents
    (own_lane, priority DESC, visible_at, claim_attempts, created_at, id);
CREATE INDEX intents_public_goal ON intents
    (public_goal_lane, priority DESC, visible_at, claim_attempts, created_at, id) WHERE public_goal_lane IS NOT NULL;
CREATE INDEX intents_public ON intents
    (public_lane, priority DESC, visible_at, claim_attempts, created_at, id) WHERE public_lane IS NOT NULL;
-- Claims that were the last allowed: maintenance buries them when their lease ends.
CREATE INDEX intents_last_attempt ON intents (lease_until) WHERE claim_attempts = max_attempts;

-- What the publisher sent, byte for byte. Never updated; dropped by the day.
CREATE TABLE payloads (
    day     date NOT NULL,
    id      uuid NOT NULL,
    payload bytea NOT NULL,
    -- Sent by SDK 1.0; kept, not interpreted.
    reward  bytea,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);

-- Fulfilled and dead intents. Appended when an intent ends; dropped by the day.
CREATE TABLE finished (
    id                  uuid NOT NULL,
    finished_at         timestamptz NOT NULL,
    tenant_id           bigint NOT NULL,
    claimed_by          bigint,
    created_at          timestamptz NOT NULL,
    run_at              timestamptz NOT NULL,
    backoff_base        double precision NOT NULL,
    payload_day         date NOT NULL,
    state               intent_state NOT NULL CHECK (state IN ('fulfilled', 'dead')),
    priority            smallint NOT NULL,
    claim_attempts      smallint NOT NULL,
    max_attempts        smallint NOT NULL,
    has_retry_policy    boolean NOT NULL,
    public              boolean NOT NULL,
    namespace           text NOT NULL,
    goal                text NOT NULL,
    target_worker       text,
    required_capability text,
    worker_id           text,
    -- Why it is dead, or the last failure before it was fulfilled.
    last_error          text,
    result              bytea,
    result_type         text CHECK (result_type IN ('json', 'text')),
    PRIMARY KEY (id, finished_at),
    CHECK ((result IS NULL) = (result_type IS NULL))
) PARTITION BY RANGE (finished_at);
CREATE INDEX finished_dead ON finished (finished_at DESC) WHERE state = 'dead';
-- Rows arrive in the order of this column, so that a block range index finds the newest at next to no cost.
CREATE INDEX finished_by_time ON finished USING brin (finished_at) WITH (pages_per_range = 16, autosummarize = on);
