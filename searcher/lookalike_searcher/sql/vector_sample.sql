-- Queries like those from outside, for $1 images: by turns halfway between an image and its tenth nearest, and between two
-- images of any kind. (Images themselves would be too easy: the index has links from each to its nearest.)
SELECT sampled.vector + other.vector AS vector
FROM (
    SELECT vector, row_number() OVER () AS number
    FROM (SELECT vector FROM {vectors} ORDER BY random() LIMIT $1) AS picked
) AS sampled
CROSS JOIN LATERAL (
    SELECT candidate.vector
    FROM {vectors} AS candidate
    ORDER BY CASE WHEN sampled.number % 2 = 0 THEN candidate.vector <=> sampled.vector ELSE random() END
    OFFSET 10
    LIMIT 1
) AS other
