UPDATE lookalike_project
SET image_count = image_count + $2, reference_count = reference_count + $3, update_time = now()
WHERE id = $1
