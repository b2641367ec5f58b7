UPDATE lookalike_space SET hnsw_options = $2 WHERE id = $1
