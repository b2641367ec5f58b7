-- Compares every image, then looks up the references of the few that are left.
WITH ranked AS MATERIALIZED (
    SELECT id, sha256, width, height, vector <=> $1 AS distance
    FROM {schema}.image
    ORDER BY distance, id
    LIMIT $2
)
SELECT ranked.sha256, ranked.width, ranked.height, 1 - ranked.distance AS similarity, listed.*
FROM ranked
CROSS JOIN LATERAL (
    SELECT uri, product, variant, staged, labels, count(*) OVER () AS reference_count
    FROM {schema}.image_reference
    WHERE image_id = ranked.id
    ORDER BY id
    LIMIT $3
) AS listed
ORDER BY ranked.distance, ranked.id
