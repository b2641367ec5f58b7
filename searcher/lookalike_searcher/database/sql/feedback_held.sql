SELECT name FROM lookalike_project WHERE feedback_count > 0 ORDER BY name
