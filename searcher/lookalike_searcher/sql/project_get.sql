SELECT id, name, space, image_count, reference_count, create_time, update_time
FROM lookalike_project
WHERE name = $1
