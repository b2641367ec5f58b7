SELECT image.id, image.sha256, image.featureless, stored.vector
FROM {schema}.image
JOIN {vectors} AS stored ON stored.image_id = image.id
WHERE image.sha256 = ANY ($1::bytea[])
