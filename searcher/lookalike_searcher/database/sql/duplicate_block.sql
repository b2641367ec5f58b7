-- The next $2 images after $1, and whether near ones are looked for.
SELECT image.id, {seed} AS seed FROM {schema}.image WHERE image.id > $1 ORDER BY image.id LIMIT $2
