SELECT stage, step, detail, step_time, image_count, feedback_count, space, source, matrix, centre, neighbours, learning, previous, baseline
FROM lookalike_tuning
WHERE project_id = $1
