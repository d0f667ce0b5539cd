-- Keeps the totals from being brought up to date while dead letters are put back. Comes before the dead letters are locked, as it
-- does where one is cancelled.
--
-- Index: none; one row.
SELECT finished_until FROM totals_progress FOR UPDATE
