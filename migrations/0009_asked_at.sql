-- When workers last asked for each goal, and named each capability. `workers.goals` and `workers.capabilities` hold what one of them
-- said in the ten seconds before its last sign of life, as one replica saw it: a worker that takes turns between goals, or between
-- replicas, seemed not to ask for the others.

-- {goal: unix seconds by the database's clock, whole ones}; goal '': anything. What was asked for in the last five minutes, by
-- whichever replica; more than 16 goals are written as anything. Written by replicas from this release on, and read together with
-- `goals`, which both releases write: an older replica leaves this as it is.
ALTER TABLE workers ADD COLUMN asked_at jsonb NOT NULL DEFAULT '{}';

-- The same of capabilities, read together with `capabilities`; the 64 that were named last. Workers without a name are one row, so
-- each of them seemed to have the capabilities of whoever asked last.
ALTER TABLE workers ADD COLUMN able_at jsonb NOT NULL DEFAULT '{}';
