UPDATE lookalike_project SET feedback_count = feedback_count + $2 WHERE id = $1 RETURNING feedback_count
