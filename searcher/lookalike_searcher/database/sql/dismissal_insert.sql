INSERT INTO {schema}.dismissal (sha256, other_sha256)
SELECT * FROM unnest($1::bytea[], $2::bytea[])
ON CONFLICT DO NOTHING
RETURNING id
