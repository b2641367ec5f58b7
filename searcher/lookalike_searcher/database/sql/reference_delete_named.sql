-- One by one, as conditions joined by OR would not use the indexes.
DELETE FROM {schema}.image_reference
WHERE id IN (
    SELECT id FROM {schema}.image_reference WHERE uri = ANY ($1::text[])
    UNION ALL
    SELECT id FROM {schema}.image_reference WHERE product = ANY ($2::text[])
    UNION ALL
    SELECT reference.id
    FROM {schema}.image JOIN {schema}.image_reference AS reference ON reference.image_id = image.id
    WHERE sha256 = ANY ($3::bytea[])
    UNION ALL
    SELECT reference.id
    FROM unnest($4::text[], $5::text[], $6::text[], $7::boolean[]) AS key (uri, product, variant, staged)
    JOIN {schema}.image_reference AS reference USING (uri, product, variant, staged)
)
RETURNING image_id
