SELECT search_id, verdict.sha256, rank, is_right, clicked, update_time, image.id IS NOT NULL AS stored
FROM {schema}.verdict
LEFT JOIN {schema}.image ON image.sha256 = verdict.sha256
WHERE search_id = ANY ($1::bytea[])
ORDER BY rank, verdict.sha256
