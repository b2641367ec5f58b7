-- Queries like photos from outside, made from $1 images: halfway between an image and its tenth nearest or so. (Images
-- themselves would be too easy: the index has links from each to its nearest. Points between images that have nothing to do
-- with each other say nothing about what users ask.) The same images are chosen each time.
SELECT sampled.vector + neighbour.vector AS vector
FROM (SELECT vector FROM {vectors} ORDER BY hashint8extended(image_id, 0) LIMIT $1) AS sampled
CROSS JOIN LATERAL (
    SELECT candidate.vector
    FROM {vectors} AS candidate
    ORDER BY candidate.vector <=> sampled.vector
    OFFSET 10
    LIMIT 1
) AS neighbour
