UPDATE {schema}.image_reference SET image_id = $2, labels = $3, stamp = $4 WHERE id = $1
