DELETE FROM {schema}.image
WHERE NOT EXISTS (SELECT FROM {schema}.image_reference WHERE image_id = image.id)
