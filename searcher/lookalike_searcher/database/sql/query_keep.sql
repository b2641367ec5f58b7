INSERT INTO lookalike_recent_query (space_id, place, vector)
SELECT space.id, $3, $4
FROM lookalike_space AS space
JOIN lookalike_project AS project ON project.id = space.project_id
WHERE project.name = $1 AND space.name = $2
  AND space.dimensions = vector_dims($4::halfvec) -- another space may have the name since
ON CONFLICT (space_id, place) DO UPDATE SET vector = excluded.vector
