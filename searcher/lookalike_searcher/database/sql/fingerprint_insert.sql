-- One of another version is replaced.
INSERT INTO {schema}.fingerprint AS held (image_id, version, picture, keypoints)
SELECT image_id, $2::text, picture, keypoints
FROM unnest($1::bigint[], $3::bytea[], $4::bytea[]) AS coming (image_id, picture, keypoints)
ON CONFLICT (image_id) DO UPDATE
SET version = excluded.version, picture = excluded.picture, keypoints = excluded.keypoints
WHERE held.version <> excluded.version
RETURNING image_id
