-- As maintenance_lock, of a project and of a machine.
SELECT WHERE pg_try_advisory_xact_lock(68772, {key}) AND pg_try_advisory_xact_lock(68773, {machine})
