UPDATE lookalike_space
SET index_time = coalesce(index_time, now()), ef_search_10 = $2, ef_search_100 = $3, recall_target = $4,
    calibrated_count = $5, recall_count = 0
WHERE id = $1
