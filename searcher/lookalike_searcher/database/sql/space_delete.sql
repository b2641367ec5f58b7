DELETE FROM lookalike_space WHERE id = $1
