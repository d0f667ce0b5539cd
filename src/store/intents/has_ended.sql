-- After a lost answer to COMMIT: has this tenant's claim ended the intent in this state?
--
-- $1 id  $2 tenant that claimed  $3 state
-- Index: primary key of each partition of finished.
SELECT id FROM finished WHERE id = $1 AND claimed_by = $2 AND state = $3::text::intent_state
