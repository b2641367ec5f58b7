grouped AS (
    SELECT DISTINCT ON (reference.product, alone) nearest.image_id, nearest.distance, reference.product
    FROM nearest
    JOIN {schema}.image_reference AS reference USING (image_id)
    CROSS JOIN LATERAL (SELECT CASE WHEN reference.product = '' THEN nearest.image_id END) AS itself (alone)
    WHERE {filter}
    ORDER BY reference.product, alone, nearest.distance, nearest.image_id
), 
