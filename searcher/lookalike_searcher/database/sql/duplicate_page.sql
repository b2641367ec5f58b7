-- The next $2 vectors of images after $1 that may be near duplicates.
SELECT image_id, vector
FROM {vectors}
WHERE image_id > $1 AND NOT EXISTS (SELECT FROM {schema}.image WHERE id = image_id AND featureless)
ORDER BY image_id
LIMIT $2
