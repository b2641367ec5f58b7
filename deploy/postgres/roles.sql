-- The searcher's role in a database of its own, with no more rights than it needs. To be run once, by a superuser, in
-- that database:
--
--   psql --dbname lookalike --set ON_ERROR_STOP=1 --file roles.sql
--   psql --dbname lookalike --command '\password lookalike'    # and lookalike_reader, if there are replicas
--
-- lookalike         makes a schema for each project, and owns what is in it: migrations and searches are the same
--                   program's, and an index is built, or a table vacuumed, by nobody but its owner.
-- lookalike_reader  reads, for READ_DATABASE_URL.
--
-- Neither is a superuser, makes roles or databases, reads the server's files or runs its programs, or enters another
-- database that shuts out PUBLIC as the last lines here do.

CREATE ROLE lookalike LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT;
CREATE ROLE lookalike_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT;

-- So that nobody else needs the right to.
CREATE EXTENSION IF NOT EXISTS vector;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO lookalike;
GRANT USAGE ON SCHEMA public TO lookalike_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE lookalike GRANT USAGE ON SCHEMAS TO lookalike_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE lookalike GRANT SELECT ON TABLES TO lookalike_reader;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO lookalike', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO lookalike_reader', current_database());
END
$$;
