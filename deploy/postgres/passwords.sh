# Gives the role of roles.sql its password. The image of PostgreSQL sources this when it makes a database. Where that has
# Citus, each node keeps the password with which it logs in at the others as that role.
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --set password="${DATABASE_PASSWORD:-$(cat "$DATABASE_PASSWORD_FILE")}" <<'SQL'
ALTER ROLE lookalike PASSWORD :'password';
SELECT to_regclass('pg_catalog.pg_dist_authinfo') IS NOT NULL AS has_citus \gset
\if :has_citus
INSERT INTO pg_dist_authinfo (nodeid, rolename, authinfo) VALUES (0, 'lookalike', 'password=' || :'password');
\endif
SQL
