-- When workers last asked for each goal. `workers.goals` holds what one of them asked for in the ten seconds before its last sign of
-- life, as one replica saw it: a worker that takes turns between goals, or between replicas, seemed not to ask for the others.

-- {goal: unix seconds by the database's clock, whole ones}; goal '': anything. What was asked for in the last five minutes, by
-- whichever replica; more than 16 goals are written as anything. Written by replicas from this release on, and read together with
-- `goals`, which both releases write: an older replica leaves this as it is.
ALTER TABLE workers ADD COLUMN asked_at jsonb NOT NULL DEFAULT '{}';
