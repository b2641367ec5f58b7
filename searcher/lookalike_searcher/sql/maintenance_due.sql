-- $1 images from which on there is to be an index, $2 at once; $3 seconds without writes before it is built; $4 the target
-- of recall; $5 the growth that asks for calibration; $6 the share, $7 the number of the deleted that ask for a vacuum.
SELECT project.id AS project_id, project.name AS project, image_count, deleted_since_vacuum, deleted_since_index,
       space.id AS space_id, space.name AS space, space.complete, job
FROM lookalike_project AS project
JOIN lookalike_space AS space ON space.project_id = project.id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN index_time IS NULL AND image_count >= $1::bigint
             AND (update_time < now() - make_interval(secs => $3::float8) OR image_count >= $2::bigint)
            THEN 'build'
        WHEN index_time IS NULL THEN NULL
        WHEN image_count < $1 / 2 THEN 'drop'
        WHEN deleted_since_vacuum >= greatest($7::bigint, image_count * $6::float8) THEN 'vacuum'
        WHEN recall_target <> $4::real OR image_count > calibrated_count * $5::float8 THEN 'calibrate'
    END AS job
) AS due
WHERE job IS NOT NULL
ORDER BY image_count
