UPDATE {vectors} SET vector = $2 WHERE image_id = $1
