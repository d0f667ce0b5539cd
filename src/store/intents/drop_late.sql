-- Forgets what was reported too late, after so many days.
--
-- $1 days  $2 at most so many
-- Index: late_results_received_at. SKIP LOCKED: every replica does this.
DELETE FROM late_results
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM late_results
    WHERE received_at < (SELECT clock_timestamp()) - make_interval(days => $1::integer)
    ORDER BY received_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
))
