-- The least a signed job bus must store: jobs, and the nonces of the requests that touched them. What is measured on it
-- is the plain form of the work; nothing here is taken from migrations/.

CREATE TABLE nonces (
    nonce   uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The order of claims. A column of its own: ORDER BY id lets the planner walk the primary key over finished rows.
    position    timestamptz NOT NULL DEFAULT clock_timestamp(),
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'claimed', 'done')),
    goal        text NOT NULL,
    payload     text NOT NULL,
    token       uuid,
    lease_until timestamptz,
    finished_at timestamptz
);

CREATE INDEX jobs_open ON jobs (position) WHERE state = 'open';

-- A backlog, so that a claim whose candidates were taken a moment ago finds another and no cycle is empty.
INSERT INTO jobs (goal, payload) SELECT 'bench', '{"n": 1}' FROM generate_series(1, 1000);
ANALYZE jobs;
