SELECT image.id AS image_id, image.sha256, image.width, image.height, image.create_time, image.featureless,
       image.file_size, listed.*
FROM {schema}.image
CROSS JOIN LATERAL (
    SELECT uri, product, variant, staged, labels, count(*) OVER () AS reference_count
    FROM {schema}.image_reference AS reference
    WHERE reference.image_id = image.id AND {filter}
    ORDER BY id
    LIMIT $2
) AS listed
WHERE image.id = ANY ($1::bigint[])
ORDER BY image.id
