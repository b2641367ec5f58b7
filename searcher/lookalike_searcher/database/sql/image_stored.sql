SELECT id, sha256 FROM {schema}.image WHERE sha256 = ANY ($1::bytea[])
