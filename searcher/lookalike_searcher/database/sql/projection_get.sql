SELECT matrix, centre FROM lookalike_projection WHERE space_id = $1
