-- As maintenance_lock, of a project.
SELECT WHERE pg_try_advisory_xact_lock(68772, {key})
