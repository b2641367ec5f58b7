-- Of those references that are stored: which of the coming ones, image, stamp, and whether the labels are the coming ones.
SELECT place, image.id AS image_id, image.sha256, existing.stamp, existing.labels = coming.labels::jsonb AS same_labels
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[])
    WITH ORDINALITY AS coming (uri, product, variant, staged, labels, place)
JOIN {schema}.image_reference AS existing USING (uri, product, variant, staged)
JOIN {schema}.image ON image.id = existing.image_id
