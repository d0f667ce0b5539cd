-- Changes what a key reaches. A row comes back when there is such a key.
--
-- $1 number of the key  $2 whether its scopes change, $3 to what  $4 whether its namespaces change, $5 to what (NULL: all)
-- Index: primary key. `changed_at` makes every replica's cache read the key anew.
UPDATE api_keys
SET scopes = CASE WHEN $2::boolean THEN $3::text[] ELSE scopes END,
    namespaces = CASE WHEN $4::boolean THEN $5::text[] ELSE namespaces END,
    changed_at = clock_timestamp()
WHERE id = $1
RETURNING id
