INSERT INTO {schema}.image (sha256, width, height)
SELECT * FROM unnest($1::bytea[], $2::integer[], $3::integer[])
RETURNING id, sha256
