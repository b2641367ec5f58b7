SELECT id, sha256, other_sha256, create_time FROM {schema}.dismissal WHERE id > $1 ORDER BY id LIMIT $2
