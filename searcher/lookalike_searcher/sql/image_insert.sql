INSERT INTO {schema}.image (sha256, vector, width, height)
SELECT * FROM unnest($1::bytea[], $2::halfvec[], $3::integer[], $4::integer[])
