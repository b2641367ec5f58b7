-- On the primary: how far its log is written.
SELECT (pg_current_wal_lsn() - '0/0')::bigint
