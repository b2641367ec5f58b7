-- An image that is used nowhere, if there is one: writers leave none.
SELECT sha256
FROM {schema}.image
WHERE NOT EXISTS (SELECT FROM {schema}.image_reference AS reference WHERE reference.image_id = image.id)
LIMIT 1
