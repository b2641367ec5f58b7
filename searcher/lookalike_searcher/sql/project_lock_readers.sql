-- Waits for those who read the project; see project_read.
SELECT pg_advisory_xact_lock($1, $2)
