-- The image of the newest reference with the URI.
SELECT DISTINCT ON (reference.uri) reference.uri, image.id, image.sha256, image.featureless, stored.vector
FROM {schema}.image_reference AS reference
JOIN {schema}.image ON image.id = reference.image_id
JOIN {vectors} AS stored ON stored.image_id = image.id
WHERE reference.uri = ANY ($1::text[])
ORDER BY reference.uri, reference.id DESC
