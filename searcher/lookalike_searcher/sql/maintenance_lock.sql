SELECT pg_try_advisory_xact_lock(68770, $1::integer)
