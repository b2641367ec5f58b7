-- $1 images, the same ones each time, each with the mean of the ten or so that are nearest to it: what
-- `made_queries` makes queries of.
SELECT sampled.vector, near.mean
FROM (SELECT vector FROM {vectors} ORDER BY hashint8extended(image_id, 0) LIMIT $1) AS sampled
CROSS JOIN LATERAL (
    SELECT avg(nearest.vector) AS mean
    FROM (
        SELECT candidate.vector
        FROM {vectors} AS candidate
        ORDER BY candidate.vector <=> sampled.vector
        OFFSET 1 -- the image itself
        LIMIT 10
    ) AS nearest
) AS near
WHERE near.mean IS NOT NULL
