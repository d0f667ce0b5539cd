-- What operators see: traces, attempts, flow, replicas, workers; and what they do: pauses, scoped keys, an audit log.

-- The trace of the request that published it (W3C Trace Context, `traceparent`), given back with each claim.
-- `claimed_at`: when its last claim was made. `past_attempts`: earlier claims, the oldest first, as
-- [{"attempt", "worker", "tenant", "claimed_at", "ended_at", "outcome": "failed" | "lapsed", "error"}], times in unix seconds;
-- at most as many as attempts are allowed. Written by replicas from this release on; NULL means that there is none.
ALTER TABLE intents
    ADD COLUMN claimed_at timestamptz,
    ADD COLUMN traceparent text,
    ADD COLUMN past_attempts jsonb;
ALTER TABLE finished
    ADD COLUMN claimed_at timestamptz,
    ADD COLUMN traceparent text,
    ADD COLUMN past_attempts jsonb;

-- Unfinished intents by goal as of the last look at the table: the goals with the most of them. Goal and namespace '' stand for
-- all others. Written with open_totals.
CREATE TABLE open_goals (
    namespace  text NOT NULL,
    goal       text NOT NULL,
    -- Due and held by nobody.
    claimable  bigint NOT NULL,
    -- Not due yet: delayed, or backing off.
    waiting    bigint NOT NULL,
    -- Held by a lease that has not ended.
    claimed    bigint NOT NULL,
    -- Held by a lease that has ended, and not claimable yet.
    past_lease bigint NOT NULL,
    -- Since when the oldest claimable one could be claimed.
    oldest_at  timestamptz,
    PRIMARY KEY (namespace, goal)
);

-- What each replica has done, in steps of ten seconds, kept for two hours. Goal and namespace '' stand for all others.
CREATE TABLE activity (
    at        timestamptz NOT NULL,
    replica   uuid NOT NULL,
    namespace text NOT NULL,
    goal      text NOT NULL,
    published bigint NOT NULL,
    claimed   bigint NOT NULL,
    fulfilled bigint NOT NULL,
    -- Attempts that ended badly: reported as failed, or their lease ended.
    failed    bigint NOT NULL,
    -- Intents that ended as dead.
    dead      bigint NOT NULL,
    -- Counts by bucket (src/telemetry/flow.rs has their bounds): from the moment at which it could be claimed to the claim, from
    -- the claim to the fulfilment, from publication to fulfilment.
    waited    bigint[] NOT NULL,
    worked    bigint[] NOT NULL,
    took      bigint[] NOT NULL,
    PRIMARY KEY (at, replica, namespace, goal)
);

-- Replicas that run, each with its last sign of life.
CREATE TABLE replicas (
    id         uuid PRIMARY KEY,
    host       text NOT NULL,
    version    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Workers that have asked for work of late. Worker '' stands for those of a tenant that have no name. `goals`: what they asked
-- for last; NULL: anything.
CREATE TABLE workers (
    tenant_id    bigint NOT NULL,
    namespace    text NOT NULL,
    worker_id    text NOT NULL,
    goals        text[],
    capabilities text[] NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Intents that it has claimed since it was first seen.
    claims       bigint NOT NULL,
    PRIMARY KEY (tenant_id, namespace, worker_id)
) WITH (fillfactor = 70);
CREATE INDEX workers_seen_at ON workers (seen_at);

-- What is not handed out for now. Goal '': the whole namespace. Publishing goes on.
CREATE TABLE pauses (
    namespace text NOT NULL,
    goal      text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, goal)
);

-- A key may be narrower than its tenant, and may end by itself (the old one, when a key is rotated).
ALTER TABLE api_keys
    ADD COLUMN expires_at timestamptz,
    -- Of publish, work, read, values. NULL: all.
    ADD COLUMN scopes     text[] CHECK (scopes <@ ARRAY['publish', 'work', 'read', 'values']),
    -- NULL: all.
    ADD COLUMN namespaces text[];

-- What operators did. Written in the transaction of what it tells of, where that is one transaction.
CREATE TABLE audit_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How they came in: admin_token, dashboard, root_key.
    actor      text NOT NULL,
    action     text NOT NULL,
    -- What it was done to, in words of the API: an intent's id, a key's number, a namespace, a goal.
    target     text,
    details    jsonb,
    request_id text NOT NULL
);
