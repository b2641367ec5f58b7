INSERT INTO lookalike_projection (space_id, source_id, matrix, centre) VALUES ($1, $2, $3, $4)
