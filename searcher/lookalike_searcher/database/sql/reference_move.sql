-- Their stamps stay: what they name has not changed.
UPDATE {schema}.image_reference SET image_id = $2 WHERE image_id = ANY ($1::bigint[]) RETURNING id
