SELECT id, search_id, search_time, query_sha256, space, vector,
       EXISTS (SELECT FROM {schema}.image WHERE image.sha256 = query_sha256) AS query_stored
FROM {schema}.feedback
WHERE id > $1
ORDER BY id
LIMIT $2
