SELECT augmented_to FROM lookalike_projection WHERE space_id = $1
