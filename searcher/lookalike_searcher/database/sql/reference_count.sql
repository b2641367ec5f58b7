SELECT count(*) FROM {schema}.image_reference
