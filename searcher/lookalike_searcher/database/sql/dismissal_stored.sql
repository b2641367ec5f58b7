-- The pairs of which the project holds both images.
SELECT one.id, other.id AS other_id
FROM {schema}.dismissal
JOIN {schema}.image AS one ON one.sha256 = dismissal.sha256
JOIN {schema}.image AS other ON other.sha256 = dismissal.other_sha256
