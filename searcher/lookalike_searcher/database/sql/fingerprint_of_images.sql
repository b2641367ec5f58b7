SELECT image_id, sha256, picture, keypoints
FROM {schema}.image JOIN {schema}.fingerprint ON fingerprint.image_id = image.id
WHERE image.id = ANY ($1::bigint[]) AND version = $2
