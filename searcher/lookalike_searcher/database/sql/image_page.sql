SELECT image.id
FROM {schema}.image
WHERE image.id > $1 {missing} {matching}
ORDER BY image.id
LIMIT $2
