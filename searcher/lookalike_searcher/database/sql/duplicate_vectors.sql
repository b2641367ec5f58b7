-- The vectors of those of the images that may be near duplicates.
SELECT image_id, vector
FROM {vectors}
WHERE image_id = ANY ($1::bigint[]) AND NOT EXISTS (SELECT FROM {schema}.image WHERE id = image_id AND featureless)
ORDER BY image_id
