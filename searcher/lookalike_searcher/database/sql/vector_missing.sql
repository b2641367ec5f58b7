-- Those of the images that have no vector in the space.
SELECT coming.image_id
FROM unnest($1::bigint[]) AS coming (image_id)
WHERE NOT EXISTS (SELECT FROM {vectors} AS stored WHERE stored.image_id = coming.image_id)
