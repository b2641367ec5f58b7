DELETE FROM {schema}.dismissal WHERE sha256 = ANY ($1::bytea[]) AND other_sha256 = ANY ($1::bytea[]) RETURNING id
