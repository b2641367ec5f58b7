SELECT image_id, vector
FROM {vectors}
WHERE image_id = ANY ($1::bigint[])
