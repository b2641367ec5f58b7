-- The image of the newest reference with the URI.
SELECT DISTINCT ON (reference.uri) reference.uri, image.sha256
FROM {schema}.image_reference AS reference
JOIN {schema}.image ON image.id = reference.image_id
WHERE reference.uri = ANY ($1::text[])
ORDER BY reference.uri, reference.id DESC
