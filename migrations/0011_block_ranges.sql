-- The bus summarizes the block ranges of finished intents itself: autovacuum, which each begun range was asked of, forgets all but 256
-- a minute, with a line in the log for each. Partitions made from now on come without the option; the index of the parent, after
-- which they are made, cannot be altered.
--
-- Requests that finish intents wait for the lock that this takes, so it gives up before they would, and is tried again.
SET LOCAL lock_timeout = '2s';
DO $$
DECLARE
    brin regclass;
BEGIN
    FOR brin IN
        SELECT indexrelid
        FROM pg_inherits
        JOIN pg_index ON indrelid = inhrelid
        JOIN pg_class AS index ON index.oid = indexrelid
        JOIN pg_am ON pg_am.oid = index.relam
        WHERE inhparent = 'finished'::regclass AND amname = 'brin'
        ORDER BY inhrelid::regclass::text
    LOOP
        EXECUTE format('ALTER INDEX %s SET (autosummarize = off)', brin);
    END LOOP;
END $$;
