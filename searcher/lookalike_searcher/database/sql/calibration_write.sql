INSERT INTO lookalike_calibration (
    space_id, hit_count, ef_searches, recalls, seconds, exact_seconds, image_count, query_count, real_query_count
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (space_id, hit_count) DO UPDATE
SET ef_searches = excluded.ef_searches, recalls = excluded.recalls, seconds = excluded.seconds,
    exact_seconds = excluded.exact_seconds, image_count = excluded.image_count, query_count = excluded.query_count,
    real_query_count = excluded.real_query_count, create_time = now()
