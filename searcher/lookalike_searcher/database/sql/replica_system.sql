-- The same on a primary and its replicas, and on no other server.
SELECT system_identifier FROM pg_control_system()
