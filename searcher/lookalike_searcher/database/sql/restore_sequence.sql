-- The next row gets an id that none has. Without a table in FROM, for which Citus would send it to a worker's sequence.
SELECT setval(pg_get_serial_sequence('{table}', 'id'), $1, false)
