SELECT id, sha256 FROM {schema}.image WHERE id = ANY ($1::bigint[])
