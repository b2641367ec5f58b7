VACUUM {schema}.fingerprint
