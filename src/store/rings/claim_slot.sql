-- Takes the slot of a ring that is to be emptied in this period, half a turn before it is used again. No row comes back when
-- that was done already or another replica is at it.
--
-- $1 ring  $2 length of a period in seconds
-- Trap: the slot is named by the database's clock in the same transaction that truncates it, and a session that stalls in
-- between is ended by idle_in_transaction_session_timeout long before the slot comes into use.
WITH period AS MATERIALIZED (
    SELECT floor(extract(epoch FROM clock_timestamp()) / $2::double precision)::bigint AS number
), due AS MATERIALIZED (
    SELECT ring, slot, number
    FROM ring_slots, period
    WHERE ring = $1 AND slot = ((number + 2) % 4)::smallint AND emptied_for < number + 2
    FOR UPDATE OF ring_slots SKIP LOCKED
)
UPDATE ring_slots
SET emptied_for = due.number + 2
FROM due
WHERE ring_slots.ring = due.ring AND ring_slots.slot = due.slot
RETURNING ring_slots.slot
