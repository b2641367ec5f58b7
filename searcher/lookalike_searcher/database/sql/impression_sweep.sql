DELETE FROM lookalike_impression
WHERE day < $1 OR NOT EXISTS (SELECT FROM lookalike_project WHERE lookalike_project.id = project_id)
