-- On a replica: how far it has replayed the primary's log. Null on what is none, or none any more.
SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END
