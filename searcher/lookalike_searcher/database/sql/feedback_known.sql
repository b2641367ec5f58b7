SELECT search_id FROM {schema}.feedback WHERE search_id = ANY ($1::bytea[])
