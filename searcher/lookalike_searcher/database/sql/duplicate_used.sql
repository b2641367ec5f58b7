-- Those of the images from $1 to $2 that are used in several places.
SELECT image_id
FROM {schema}.image_reference
WHERE image_id BETWEEN $1 AND $2
GROUP BY image_id
HAVING min(uri) <> max(uri)
