-- The space that serves is complete if it is now, and stays so, as writers must send its vectors; the others no longer
-- must be.
WITH served AS (
    UPDATE lookalike_space SET complete = (id = $2 AND $3) WHERE project_id = $1
)
UPDATE lookalike_project
SET space = (SELECT name FROM lookalike_space WHERE id = $2), update_time = now()
WHERE id = $1
