-- Claims that may be asked for again when their answer was lost, and what came in after a claim had been lost.

-- The claim was asked for with an id of its own (X-Claim-Request-ID). `claim_request`: a hash of what was asked, by which it is
-- found again. `claim_salt`: what its token was made of beside that, new with each claim. `claim_repeated`: it was given out again. All
-- are written by each claim, so they say nothing where `claim_hash` is NULL.
ALTER TABLE intents
    ADD COLUMN claim_request uuid,
    ADD COLUMN claim_salt uuid,
    ADD COLUMN claim_repeated boolean NOT NULL DEFAULT false;

-- Finds them. Unique: of two tries of one request that run at once, on two replicas, the second waits for the first, fails, and
-- then finds what the first has claimed. Claims without an id stay out of it, and cost what they did.
CREATE UNIQUE INDEX intents_claim_request ON intents (claim_request) WHERE claim_request IS NOT NULL AND claim_hash IS NOT NULL;

-- Tokens of such claims are made of this and of the bus's secret: whoever gets to see tokens cannot test guesses of the secret by
-- them, and whoever gets to see the database cannot make tokens.
CREATE TABLE token_salt (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt bytea NOT NULL
);
-- Twice 122 random bits.
INSERT INTO token_salt (salt) VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Hash of the token of the claim that ended it: by its fulfilment, or by the end of the last lease.
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
