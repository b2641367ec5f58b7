-- No parameter and no value, so that it can be run by PostgreSQL's simple protocol, which leaves no snapshot open: CREATE
-- INDEX CONCURRENTLY would wait for it.
SELECT WHERE pg_try_advisory_xact_lock(68770, {space_id})
