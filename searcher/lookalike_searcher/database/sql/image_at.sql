-- The image of the newest reference with the URI.
SELECT image_id FROM {schema}.image_reference WHERE uri = $1 ORDER BY id DESC LIMIT 1
