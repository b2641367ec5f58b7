-- Images that come from now on were not learned from.
INSERT INTO lookalike_projection (space_id, source_id, matrix, centre, neighbours, learning, learned_to)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, (SELECT coalesce(max(id), 0) FROM {schema}.image))
