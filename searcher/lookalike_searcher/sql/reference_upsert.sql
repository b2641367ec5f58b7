-- Returns the references that changed; those that were there already, all the same, are left alone and not returned.
INSERT INTO {schema}.image_reference AS existing (image_id, uri, product, variant, staged, labels)
SELECT image.id, coming.uri, coming.product, coming.variant, coming.staged, coming.labels
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::jsonb[])
     WITH ORDINALITY AS coming (sha256, uri, product, variant, staged, labels, position)
JOIN {schema}.image USING (sha256)
ORDER BY coming.position
ON CONFLICT (uri, product, variant, staged) DO UPDATE
    SET image_id = EXCLUDED.image_id, labels = EXCLUDED.labels
    WHERE (existing.image_id, existing.labels) IS DISTINCT FROM (EXCLUDED.image_id, EXCLUDED.labels)
RETURNING uri, product, variant, staged, xmax = 0 AS inserted
