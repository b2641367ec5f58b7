-- What says which image of a cluster is to be kept.
SELECT image.id, sha256, width::bigint * height AS pixels, file_size, create_time, used.*
FROM {schema}.image
CROSS JOIN LATERAL (
    SELECT count(*) AS reference_count, count(DISTINCT product) FILTER (WHERE product <> '') AS product_count
    FROM {schema}.image_reference AS reference
    WHERE reference.image_id = image.id
) AS used
WHERE image.id = ANY ($1::bigint[])
