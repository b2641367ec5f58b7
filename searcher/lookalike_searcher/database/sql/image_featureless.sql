UPDATE {schema}.image SET featureless = true WHERE id = ANY ($1::bigint[]) AND NOT featureless
