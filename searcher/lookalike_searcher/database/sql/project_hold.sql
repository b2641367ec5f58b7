-- The project's tables are to be read in this transaction: whoever drops one waits until we are done, and we for nobody
-- else. An advisory lock, as table locks are taken in an order that PostgreSQL chooses, and met DROP SCHEMA in a deadlock.
-- Not waited for, as what is seen here would be out of date then.
CROSS JOIN LATERAL (SELECT pg_try_advisory_xact_lock_shared(68769, project.id::integer) AS held) AS hold
