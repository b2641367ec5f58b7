-- Of each of the images $1 that may be near duplicates, those at a distance of at most $3 among its nearest $2, itself
-- included, whether they may not (the index knows nothing of that), and their distance.
SELECT asked.image_id AS asked_id, nearest.image_id, image.featureless, nearest.distance
FROM {schema}.image AS own
JOIN {vectors} AS asked ON asked.image_id = own.id
CROSS JOIN LATERAL (
    SELECT candidate.image_id, candidate.vector <=> asked.vector AS distance
    FROM {vectors} AS candidate
    ORDER BY candidate.vector <=> asked.vector
    LIMIT $2
) AS nearest
JOIN {schema}.image ON image.id = nearest.image_id
WHERE own.id = ANY ($1::bigint[]) AND NOT own.featureless AND nearest.distance <= $3::float8
