DELETE FROM {schema}.image_reference
WHERE uri = ANY ($1::text[])
   OR product = ANY ($2::text[])
   OR image_id IN (SELECT id FROM {schema}.image WHERE sha256 = ANY ($3::bytea[]))
RETURNING image_id
