SELECT count(*) FROM {schema}.image
