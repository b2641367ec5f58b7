-- Those of the images that still have a vector in the source, and none yet in the space.
SELECT source.image_id
FROM {source} AS source
WHERE source.image_id = ANY ($1::bigint[])
  AND NOT EXISTS (SELECT FROM {vectors} AS stored WHERE stored.image_id = source.image_id)
