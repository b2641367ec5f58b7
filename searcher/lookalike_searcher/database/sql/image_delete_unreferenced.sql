DELETE FROM {schema}.image
WHERE id = ANY ($1::bigint[])
  AND NOT EXISTS (SELECT FROM {schema}.image_reference WHERE image_id = image.id)
RETURNING id
