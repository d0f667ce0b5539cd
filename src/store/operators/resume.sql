-- Hands a goal, or a namespace, out again. A row comes back when it was paused.
--
-- $1 namespace  $2 goal ('': all of the namespace)
-- Index: primary key.
DELETE FROM pauses WHERE namespace = $1 AND goal = $2 RETURNING namespace
