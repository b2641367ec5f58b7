-- The project may be gone by now.
INSERT INTO lookalike_tuning (
    project_id, stage, step, detail, step_time, image_count, feedback_count, space, source, matrix, centre, learning, previous,
    baseline, neighbours
)
SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14::jsonb, $15
FROM lookalike_project
WHERE id = $1
ON CONFLICT (project_id) DO UPDATE
SET stage = excluded.stage, step = excluded.step, detail = excluded.detail, step_time = excluded.step_time,
    image_count = excluded.image_count, feedback_count = excluded.feedback_count, space = excluded.space,
    source = excluded.source, matrix = excluded.matrix, centre = excluded.centre, learning = excluded.learning,
    previous = excluded.previous, baseline = excluded.baseline,
    neighbours = excluded.neighbours
