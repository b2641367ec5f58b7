INSERT INTO lookalike_project (name, space, schema_version)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, space, image_count, reference_count, create_time, update_time
