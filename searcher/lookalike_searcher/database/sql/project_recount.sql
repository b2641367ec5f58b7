UPDATE lookalike_project SET image_count = $2, reference_count = $3 WHERE id = $1
