INSERT INTO lookalike_space (project_id, name, dimensions, complete)
VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, name) DO NOTHING
RETURNING id
