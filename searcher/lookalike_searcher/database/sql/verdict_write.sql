INSERT INTO {schema}.verdict (search_id, sha256, rank, is_right, clicked, update_time)
VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (search_id, sha256) DO UPDATE
SET rank = excluded.rank, is_right = excluded.is_right, clicked = excluded.clicked, update_time = excluded.update_time
