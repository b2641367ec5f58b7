-- What REINDEX CONCURRENTLY names its new and its old index.
SELECT relname AS name
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = '{schema}' AND relname ~ '^{index}_cc(new|old)[0-9]*$'
