-- The images from which these references are about to move away: they may be about to lose their last one.
SELECT DISTINCT image.id
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::boolean[])
     AS coming (sha256, uri, product, variant, staged)
JOIN {schema}.image_reference USING (uri, product, variant, staged)
JOIN {schema}.image ON image.id = image_reference.image_id
WHERE image.sha256 <> coming.sha256
