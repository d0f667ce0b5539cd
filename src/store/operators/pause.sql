-- Stops handing out a goal, or all of a namespace. A row comes back when it was not paused before.
--
-- $1 namespace  $2 goal ('': all of the namespace)
-- Index: primary key.
INSERT INTO pauses (namespace, goal) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING namespace
