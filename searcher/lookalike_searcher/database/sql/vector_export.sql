-- The next $2 vectors of images after $1, of which those are given that show a chosen product: $3 says which share of 2^31
-- hashes is chosen. At most $4 products of each,
-- variants, and values of the label $5. A row without a vector says where the block ends.
WITH block AS MATERIALIZED (
    SELECT image_id, vector FROM {vectors} WHERE image_id > $1 ORDER BY image_id LIMIT $2
)
SELECT block.image_id, image.sha256, image.featureless, block.vector, shown.products, shown.variants, shown.label_values
FROM block
JOIN {schema}.image ON image.id = block.image_id
CROSS JOIN LATERAL (
    SELECT (array_agg(DISTINCT product ORDER BY product) FILTER (WHERE product <> ''))[:$4] AS products,
           (array_agg(DISTINCT variant ORDER BY variant) FILTER (WHERE variant <> ''))[:$4] AS variants,
           (array_agg(DISTINCT labels ->> $5 ORDER BY labels ->> $5) FILTER (WHERE labels ->> $5 <> ''))[:$4] AS label_values,
           bool_or(hashtextextended(CASE WHEN product = '' THEN uri ELSE product END, 0) & 2147483647 < $3::bigint)
           AS chosen
    FROM {schema}.image_reference AS reference
    WHERE reference.image_id = block.image_id
) AS shown
WHERE chosen
UNION ALL
SELECT max(image_id), NULL, NULL, NULL, NULL, NULL, NULL FROM block
ORDER BY image_id, sha256 NULLS LAST
