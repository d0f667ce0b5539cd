-- Does any unfinished intent still keep its payload in a partition up to this day?
--
-- $1 day
-- Index: none; once a day, before a partition of payloads is dropped.
SELECT EXISTS (SELECT FROM intents WHERE payload_day <= $1::text::date) AS in_use
