SELECT id, name, space, image_count, reference_count, create_time, update_time, deleted_since_vacuum,
       deleted_since_index, max_images, max_hits, searches_per_second, max_batch, search_disabled,
       fingerprints_disabled, tuning_policy
FROM lookalike_project
WHERE name > $1 AND name LIKE ANY ($3::text[])
ORDER BY name
LIMIT $2
