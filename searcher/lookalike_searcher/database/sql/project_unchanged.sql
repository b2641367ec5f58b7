-- One row if the project and its spaces are as project_read has read them, see project_version. Then the project is held,
-- see project_hold, and its tables are there, see project_there.
SELECT
FROM lookalike_project
WHERE {as_read}
  AND CASE WHEN pg_try_advisory_xact_lock_shared(68769, {id}) THEN true {tables_there} END
