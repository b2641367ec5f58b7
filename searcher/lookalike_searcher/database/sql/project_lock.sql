-- Writers to one project follow one another: no deadlocks, no lost counts, and no project is dropped under a writer. Not by
-- the row's lock alone: on Citus that is given up just before a worker commits its part, an advisory lock after that.
SELECT pg_advisory_xact_lock(68771, id::integer) FROM lookalike_project WHERE name = $1 FOR UPDATE
