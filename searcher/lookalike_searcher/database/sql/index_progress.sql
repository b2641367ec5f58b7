-- One text, as that is what Citus brings from its workers, whose tables bear a number at the end of their names.
SELECT coalesce(
           blocks_done::float8 / nullif(blocks_total, 0), tuples_done::float8 / nullif(tuples_total, 0), 0
       )::text || ' ' || phase
FROM pg_stat_progress_create_index AS progress
JOIN pg_class ON pg_class.oid = progress.relid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE nspname = '{schema}' AND relname ~ '^{table}(_[0-9]+)?$' AND progress.datname = current_database()
LIMIT 1
