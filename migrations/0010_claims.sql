-- Claims that may be asked for again when their answer was lost, and what came in after a claim had been lost.

-- The claim was asked for with an id of its own (X-Claim-Request-ID), from which its token is made; the same id finds it
-- again. `claim_repeated`: it was. Both are written by each claim, so they say nothing where `claim_hash` is NULL.
ALTER TABLE intents
    ADD COLUMN claim_retryable boolean NOT NULL DEFAULT false,
    ADD COLUMN claim_repeated boolean NOT NULL DEFAULT false;

-- Finds them. Unique: of two tries of one request that run at once, on two replicas, the second waits for the first, fails, and
-- then finds what the first has claimed. Claims without an id stay out of it, and cost what they did.
CREATE UNIQUE INDEX intents_retryable_claims ON intents (claim_hash) WHERE claim_retryable AND claim_hash IS NOT NULL;

-- Hash of the last claim's token, where its lease ended and it was the last allowed.
ALTER TABLE finished ADD COLUMN claim_hash uuid;

-- What workers reported of claims that they had lost: the lease had ended, and the intent was claimed again, or buried, since.
-- It changed nothing; operators see it. At most one for each claim, the first. Kept as long as finished intents are.
CREATE TABLE late_results (
    intent_id   uuid NOT NULL,
    claim_hash  uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt     smallint NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('fulfilled', 'failed')),
    -- The result as it came in, and its type (json or text); NULL: none, or a failure.
    result      bytea,
    result_type text,
    error       text,
    PRIMARY KEY (intent_id, claim_hash)
);
CREATE INDEX late_results_received_at ON late_results (received_at);
