UPDATE lookalike_project
SET max_images = $2, max_hits = $3, searches_per_second = $4, max_batch = $5, search_disabled = $6,
    fingerprints_disabled = $7, tuning_policy = $8
WHERE id = $1
