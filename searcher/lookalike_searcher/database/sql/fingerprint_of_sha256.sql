SELECT sha256, picture, keypoints
FROM {schema}.image JOIN {schema}.fingerprint ON fingerprint.image_id = image.id
WHERE sha256 = ANY ($1::bytea[]) AND version = $2
