-- Cancels an intent that has ended already: whatever it was, it is dead now. Its result stays.
--
-- $1 id  $2 reason (kept only where it was fulfilled)
-- Index: primary key of each partition of finished.
UPDATE finished
SET state = 'dead', last_error = CASE WHEN state = 'dead' THEN last_error ELSE $2 END
WHERE id = $1
RETURNING id
