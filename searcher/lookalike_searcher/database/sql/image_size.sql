UPDATE {schema}.image SET file_size = $2 WHERE id = $1
