-- Waits for those who hold the project; see project_hold.
SELECT pg_advisory_xact_lock(68769, $1)
