-- What dashboards and /metrics read instead of counting rows on request. Written by one replica at a time, on a timer.

-- Unfinished intents as of the last look at the table.
CREATE TABLE open_totals (
    namespace text NOT NULL,
    state     intent_state NOT NULL,
    count     bigint NOT NULL,
    PRIMARY KEY (namespace, state)
);

-- Finished intents by day, added up as they arrive; dropped with the day's partition.
CREATE TABLE finished_totals (
    day       date NOT NULL,
    namespace text NOT NULL,
    state     intent_state NOT NULL,
    count     bigint NOT NULL,
    PRIMARY KEY (day, namespace, state)
);

-- How far `finished` has been added up, and when `intents` was last counted and what that took.
CREATE TABLE totals_progress (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    finished_until  timestamptz NOT NULL,
    counted_at      timestamptz NOT NULL,
    counting_took   interval NOT NULL
);
INSERT INTO totals_progress VALUES (true, clock_timestamp(), '-infinity', '0');
