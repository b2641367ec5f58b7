-- Waits for whoever drops a table of the project; see project_hold.
SELECT pg_advisory_xact_lock_shared(68769, $1)
