-- Of each of the images $1, those at a distance of at most $3 among its nearest $2, itself included.
SELECT asked.image_id AS asked_id, nearest.image_id
FROM {vectors} AS asked
CROSS JOIN LATERAL (
    SELECT candidate.image_id, candidate.vector <=> asked.vector AS distance
    FROM {vectors} AS candidate
    ORDER BY candidate.vector <=> asked.vector
    LIMIT $2
) AS nearest
WHERE asked.image_id = ANY ($1::bigint[]) AND nearest.distance <= $3::float8
