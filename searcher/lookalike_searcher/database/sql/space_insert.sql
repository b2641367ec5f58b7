INSERT INTO lookalike_space (project_id, name, complete)
VALUES ($1, $2, $3)
ON CONFLICT (project_id, name) DO NOTHING
RETURNING id
