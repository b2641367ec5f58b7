-- Hits that were re-ranked, as `search.sql` gives them: $1 their images, $2 distances, $4 ranks, $5 products; $3 how many
-- references of each; then the filter's.
WITH page AS MATERIALIZED (
    SELECT image_id, distance, rank, product
    FROM unnest($1::bigint[], $2::float8[], $4::float8[], $5::text[]) AS page (image_id, distance, rank, product)
)
SELECT NULL AS found, NULL AS reach, NULL AS matching, hit.*
FROM (
    {hit}
) AS hit
ORDER BY hit.rank, hit.image_id, hit.group_product
