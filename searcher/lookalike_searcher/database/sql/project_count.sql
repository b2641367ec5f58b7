UPDATE lookalike_project
SET image_count = image_count + $2 - $3, reference_count = reference_count + $4,
    deleted_since_vacuum = deleted_since_vacuum + $3, deleted_since_index = deleted_since_index + $3,
    update_time = now()
WHERE id = $1
