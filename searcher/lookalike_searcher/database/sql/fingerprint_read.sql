-- The fingerprints of the version, of images that are named by their id or their sha256.
SELECT image_id, sha256, picture, keypoints
FROM {schema}.image JOIN {schema}.fingerprint ON fingerprint.image_id = image.id
WHERE image.{key} = ANY ($1) AND version = $2
