-- The images nearest to any of several vectors: $1 the vectors; $2 how many of the nearest to each; $3 how many references of
-- each hit; $4 the greatest distance; $5 images that are no hits; then the filter's. An image comes once, at its distance to the
-- nearest vector, in the columns of `search.sql`: `found` counts what is nearest to all vectors, in a row of its own if there
-- is no hit.
WITH {matching}nearest AS MATERIALIZED (
    SELECT near.image_id, near.distance
    FROM unnest($1::halfvec[]) AS view (vector)
    CROSS JOIN LATERAL (
        {nearest}
    ) AS near
), page AS MATERIALIZED (
    SELECT image_id, min(distance) AS distance, min(distance) AS rank, '' AS product
    FROM nearest
    WHERE distance <= $4::float8 AND image_id <> ALL ($5::bigint[])
    GROUP BY image_id
)
SELECT counted.*, hit.*
FROM (SELECT count(*) AS found, NULL AS reach, NULL AS matching FROM nearest) AS counted
LEFT JOIN (
    {hit}
) AS hit ON true
ORDER BY hit.rank, hit.image_id, hit.group_product
