-- To be read in this transaction: whoever deletes the project waits until we are done, and we for nobody else. An
-- advisory lock, because table locks are taken in an order that PostgreSQL chooses, and met DROP SCHEMA in a deadlock.
SELECT id, name, space, image_count, reference_count, create_time, update_time
FROM lookalike_project
CROSS JOIN LATERAL (SELECT pg_advisory_xact_lock_shared($2, id::integer)) AS held
WHERE name = $1
