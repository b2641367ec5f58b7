SELECT existing.id, image_id, uri, product, variant, staged, labels, stamp
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS coming (uri, product, variant, staged)
JOIN {schema}.image_reference AS existing USING (uri, product, variant, staged)
