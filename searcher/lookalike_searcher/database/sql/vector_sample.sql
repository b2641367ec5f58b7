-- Queries like those from outside, for $1 images: by turns halfway between an image and its tenth nearest, and a quarter of
-- the way to an image of any kind. (Images themselves would be too easy: the index has links from each to its nearest.)
SELECT CASE WHEN sampled.even THEN sampled.vector ELSE sampled.vector + sampled.vector + sampled.vector END + other.vector
       AS vector
FROM (
    SELECT vector, row_number() OVER () % 2 = 0 AS even
    FROM (SELECT vector FROM {vectors} ORDER BY random() LIMIT $1) AS picked
) AS sampled
CROSS JOIN LATERAL (
    SELECT candidate.vector
    FROM {vectors} AS candidate
    ORDER BY CASE WHEN sampled.even THEN candidate.vector <=> sampled.vector ELSE random() END
    OFFSET 10
    LIMIT 1
) AS other
