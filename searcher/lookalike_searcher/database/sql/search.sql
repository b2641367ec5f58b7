-- $1 the query's vector; $2 how many hits; $3 how many references of each; $4 the greatest distance; $5, $6, $7 rank,
-- image and product of the last hit of the page before, or null; $8 how many of the nearest to look at, or null for all;
-- $9 images to leave out; $10 the hash of the query's own file, empty if unknown; then the filter's. Hits are ordered by
-- `rank`, their distance, but for the image of the query's own file: it comes first, however near others are. `found`
-- says how many of the nearest there were and `reach` how far they go, in a row of their own if there is no hit.
WITH {matching}own AS MATERIALIZED (
    SELECT candidate.image_id, candidate.vector <=> $1 AS distance
    FROM {schema}.image
    JOIN {vectors} AS candidate ON candidate.image_id = image.id
    WHERE image.sha256 = $10 AND image.id <> ALL ($9::bigint[]) {where_matching}
), nearest AS MATERIALIZED (
    {nearest}
), ranked AS (
    SELECT image_id, distance, -1::float8 AS rank, '' AS product FROM own
    UNION ALL
    SELECT image_id, distance, distance AS rank, '' AS product
    FROM nearest
    WHERE image_id IS DISTINCT FROM (SELECT image_id FROM own)
), {grouped}page AS MATERIALIZED (
    SELECT image_id, distance, rank, product
    FROM {pages_of}
    WHERE distance <= $4::float8
      AND ($5::float8 IS NULL OR (rank, image_id, product) > ($5, $6::bigint, $7::text))
    ORDER BY rank, image_id, product
    LIMIT $2
)
SELECT counted.*, hit.*
FROM (
    SELECT count(*) AS found, max(distance) AS reach, {count_of_matching} AS matching FROM nearest
) AS counted
LEFT JOIN (
    {hit}
) AS hit ON true
ORDER BY hit.rank, hit.image_id, hit.group_product
