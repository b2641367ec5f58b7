UPDATE lookalike_projection SET filled_to = $2, filled = $3 WHERE space_id = $1
