-- Those of the images that were stored without the size of their file.
SELECT id FROM {schema}.image WHERE id = ANY ($1::bigint[]) AND file_size = 0
