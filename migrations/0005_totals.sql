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

-- How far `finished` has been added up.
CREATE TABLE totals_progress (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    finished_until timestamptz NOT NULL
);
INSERT INTO totals_progress (finished_until) VALUES (clock_timestamp());

-- When `intents` was last counted and what that took. Apart from totals_progress: it is locked for as long as the count
-- lasts, and operators who cancel or retry lock the other.
CREATE TABLE open_totals_progress (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    counted_at    timestamptz NOT NULL,
    counting_took interval NOT NULL
);
INSERT INTO open_totals_progress (counted_at, counting_took) VALUES ('-infinity', '0');
