SELECT matrix, centre, neighbours FROM lookalike_projection WHERE space_id = $1
