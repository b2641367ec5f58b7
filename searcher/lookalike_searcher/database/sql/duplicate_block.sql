SELECT id FROM {schema}.image WHERE id > $1 ORDER BY id LIMIT $2
