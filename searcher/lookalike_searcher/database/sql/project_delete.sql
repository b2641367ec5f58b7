DELETE FROM lookalike_project WHERE id = $1
