VACUUM {schema}.image_reference
