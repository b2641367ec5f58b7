INSERT INTO lookalike_project
    (name, space, schema_version, max_images, max_hits, searches_per_second, max_batch, tuning_policy)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (name) DO NOTHING
RETURNING id
