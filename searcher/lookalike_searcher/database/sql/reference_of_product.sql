SELECT id, uri, variant, staged FROM {schema}.image_reference WHERE product = $1
