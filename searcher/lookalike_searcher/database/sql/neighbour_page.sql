-- The next $3 vectors of images after $1 and up to $2.
SELECT image_id, vector FROM {vectors} WHERE image_id > $1 AND image_id <= $2 ORDER BY image_id LIMIT $3
