-- $1 the query's vector; $2 how many hits; $3 how many references of each; $4 the greatest distance; $5, $6, $7 distance,
-- image and product of the last hit of the page before, or null; $8 how many of the nearest to look at, or null for all;
-- $9 images to leave out; then the filter's. `found` says how many of the nearest there were and
-- `reach` how far they go, in a row of their own if there is no hit.
-- (`id + 0`, as the planner, told not to sort, would walk the index over ids to find an image's references in order.)
WITH {matching}nearest AS MATERIALIZED (
    {nearest}
), {grouped}page AS MATERIALIZED (
    SELECT image_id, distance, product
    FROM {pages_of}
    WHERE distance <= $4::float8
      AND ($5::float8 IS NULL OR (distance, image_id, product) > ($5, $6::bigint, $7::text))
    ORDER BY distance, image_id, product
    LIMIT $2
)
SELECT counted.*, hit.*
FROM (
    SELECT count(*) AS found, max(distance) AS reach, {count_of_matching} AS matching FROM nearest
) AS counted
LEFT JOIN (
    SELECT page.image_id, page.distance, page.product AS group_product, image.sha256, image.width, image.height, listed.*
    FROM page
    JOIN {schema}.image ON image.id = page.image_id
    CROSS JOIN LATERAL (
        SELECT uri, product, variant, staged, labels, count(*) OVER () AS reference_count
        FROM {schema}.image_reference AS reference
        WHERE reference.image_id = page.image_id {of_product} AND {filter}
        ORDER BY id + 0
        LIMIT $3
    ) AS listed
) AS hit ON true
ORDER BY hit.distance, hit.image_id, hit.group_product
