UPDATE lookalike_project SET deleted_since_index = deleted_since_index - $2 WHERE id = $1
