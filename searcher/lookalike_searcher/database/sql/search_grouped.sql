grouped AS (
    SELECT DISTINCT ON (reference.product, alone) ranked.image_id, ranked.distance, ranked.rank, reference.product
    FROM ranked
    JOIN {schema}.image_reference AS reference USING (image_id)
    CROSS JOIN LATERAL (SELECT CASE WHEN reference.product = '' THEN ranked.image_id END) AS itself (alone)
    WHERE {filter}
    ORDER BY reference.product, alone, ranked.rank, ranked.image_id
), 