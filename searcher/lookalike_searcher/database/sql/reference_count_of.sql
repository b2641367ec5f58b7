SELECT count(*) FROM {schema}.image_reference WHERE image_id = ANY ($1::bigint[])
