INSERT INTO {schema}.image (sha256, width, height, file_size)
SELECT * FROM unnest($1::bytea[], $2::integer[], $3::integer[], $4::bigint[])
RETURNING id, sha256
