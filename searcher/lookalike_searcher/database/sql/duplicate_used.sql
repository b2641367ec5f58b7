-- Those of the images from $1 to $2 that are meant, and used in several places.
SELECT image_id
FROM {schema}.image_reference AS reference
JOIN {schema}.image ON image.id = image_id
WHERE image_id BETWEEN $1 AND $2 AND {newer}
GROUP BY image_id
HAVING min(uri) <> max(uri) AND bool_or({one}) AND bool_or({other}) AND {products}
