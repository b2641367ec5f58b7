DELETE FROM {schema}.feedback WHERE search_id = ANY ($1::bytea[]) OR search_time < $2::timestamptz
