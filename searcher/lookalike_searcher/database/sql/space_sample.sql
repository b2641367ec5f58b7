SELECT image.sha256
FROM {schema}.image
JOIN {vectors} AS serving ON serving.image_id = image.id
JOIN {others} AS other ON other.image_id = image.id
ORDER BY random()
LIMIT $1
