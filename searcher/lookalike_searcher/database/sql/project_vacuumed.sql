UPDATE lookalike_project SET deleted_since_vacuum = deleted_since_vacuum - $2 WHERE id = $1
