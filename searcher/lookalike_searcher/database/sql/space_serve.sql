-- The space that serves is complete if it is now, and stays so, as writers must send its vectors; if it is derived, those
-- of its source, of which the same is true. The others no longer must be.
WITH served AS (
    UPDATE lookalike_space
    SET complete = $3 AND id IN ($2, coalesce((SELECT source_id FROM lookalike_projection WHERE space_id = $2), $2))
    WHERE project_id = $1
)
UPDATE lookalike_project
SET space = (SELECT name FROM lookalike_space WHERE id = $2), update_time = now()
WHERE id = $1
