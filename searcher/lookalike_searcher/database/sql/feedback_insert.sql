-- What is once stored of a query stays.
INSERT INTO {schema}.feedback (search_id, search_time, query_sha256, space, vector)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (search_id) DO UPDATE
SET query_sha256 = coalesce(feedback.query_sha256, excluded.query_sha256),
    space = coalesce(feedback.space, excluded.space),
    vector = coalesce(feedback.vector, excluded.vector)
