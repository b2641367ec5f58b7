UPDATE lookalike_space SET index_time = NULL, recall_count = 0 WHERE id = $1
