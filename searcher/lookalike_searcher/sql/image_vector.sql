SELECT vector FROM {schema}.image WHERE sha256 = $1
