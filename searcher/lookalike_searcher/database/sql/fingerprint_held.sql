-- Those of the images that have a fingerprint of the version.
SELECT image_id
FROM {schema}.fingerprint
WHERE image_id = ANY ($1::bigint[]) AND version = $2
