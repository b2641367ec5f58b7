-- Fills in what was not known when the images were stored.
UPDATE {schema}.image
SET file_size = coming.file_size
FROM unnest($1::bigint[], $2::bigint[]) AS coming (id, file_size)
WHERE image.id = coming.id AND image.file_size = 0
