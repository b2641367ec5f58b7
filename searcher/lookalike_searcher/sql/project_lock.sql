-- Writers to one project follow one another: no deadlocks, no lost counts, and no project is dropped under a writer. The row's
-- lock alone would not do on Citus, where it is given up just before a worker commits what the transaction wrote there; an
-- advisory lock is given up after that.
SELECT pg_advisory_xact_lock(68771, id::integer) FROM lookalike_project WHERE name = $1 FOR UPDATE
