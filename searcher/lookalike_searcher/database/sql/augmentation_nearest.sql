-- The nearest $2 of each of the images $1 that show something, among those that do.
SELECT asked.image_id AS asked_id, nearest.image_id
FROM {schema}.image AS own
JOIN {vectors} AS asked ON asked.image_id = own.id
CROSS JOIN LATERAL (
    SELECT candidate.image_id
    FROM {vectors} AS candidate
    ORDER BY candidate.vector <=> asked.vector
    LIMIT $2
) AS nearest
JOIN {schema}.image ON image.id = nearest.image_id
WHERE own.id = ANY ($1::bigint[]) AND NOT own.featureless AND NOT image.featureless AND nearest.image_id <> own.id
