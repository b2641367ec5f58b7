-- Images that come from now on were not learned from.
INSERT INTO lookalike_projection (space_id, source_id, matrix, centre, learning, learned_to)
VALUES ($1, $2, $3, $4, $5::jsonb, (SELECT coalesce(max(id), 0) FROM {schema}.image))
