DELETE FROM {schema}.dismissal WHERE sha256 = $1 OR other_sha256 = $1 RETURNING id
