-- The database's clock, in unix seconds.
--
-- Index: none.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now
