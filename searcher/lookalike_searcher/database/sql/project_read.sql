-- One row for each of the project's spaces. `place` and `version` tell whether a row is unchanged; see project_unchanged.
SELECT *{there}
FROM (
    SELECT id, name, space, image_count, reference_count, create_time, update_time, deleted_since_vacuum,
           deleted_since_index, max_images, max_hits, searches_per_second, max_batch, search_disabled, fingerprints_disabled,
           tuning_policy,
           ctid::text AS place, xmin::text AS version
    FROM lookalike_project
    WHERE name = $1
) AS project
{hold}
JOIN (
    SELECT project_id, id AS space_id, name AS space_name, dimensions, complete AS space_complete,
           create_time AS space_create_time, index_time, ef_search_10, ef_search_100, recall_target, recall, recall_count, source_id, learning,
           neighbours, augmented_time IS NOT NULL AS augmented,
           lookalike_space.ctid::text AS space_place, lookalike_space.xmin::text AS space_version
    FROM lookalike_space
    LEFT JOIN lookalike_projection ON lookalike_projection.space_id = lookalike_space.id
) AS space ON space.project_id = project.id
ORDER BY space_id
