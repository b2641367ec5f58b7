SELECT search_id, sha256, rank, is_right, clicked FROM {schema}.verdict WHERE search_id = ANY ($1::bytea[])
