-- $1 images from which on there is to be an index; $2 the target of recall; $3 the growth that asks for calibration; $4 the
-- share, $5 the number of the deleted that ask for a vacuum; $6 the options that indexes are built with.
SELECT project.id AS project_id, project.name AS project, image_count, deleted_since_vacuum, deleted_since_index,
       space.id AS space_id, space.name AS space, space.complete, ef_search_10, ef_search_100, recall_target = $2::real AS same_target, job,
       extract(epoch FROM now() - project.update_time)::float8 AS idle_seconds
FROM lookalike_project AS project
JOIN lookalike_space AS space ON space.project_id = project.id
LEFT JOIN lookalike_projection AS projection ON projection.space_id = space.id
CROSS JOIN LATERAL (
    SELECT coalesce(CASE
        WHEN NOT projection.filled THEN 'fill'
        WHEN projection.neighbours > 0 AND augmented_time IS NULL THEN 'augment'
        WHEN index_time IS NULL AND image_count >= $1::bigint THEN 'build'
        WHEN index_time IS NULL THEN NULL
        WHEN image_count < $1 / 2 THEN 'drop'
        WHEN deleted_since_vacuum >= greatest($5::bigint, image_count * $4::float8) THEN 'vacuum'
        WHEN hnsw_options <> $6 THEN 'rebuild'
        WHEN recall_target <> $2::real OR image_count > calibrated_count * $3::float8
            OR image_count * $3::float8 < calibrated_count THEN 'calibrate'
    END, CASE
        WHEN projection.neighbours > 0 AND augmented_time < project.update_time THEN 'augment'
    END) AS job
) AS due
WHERE job IS NOT NULL
ORDER BY image_count
