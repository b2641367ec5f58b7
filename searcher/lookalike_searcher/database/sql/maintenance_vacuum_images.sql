VACUUM {schema}.image
