DELETE FROM {schema}.image_reference WHERE id = ANY ($1::bigint[]) RETURNING image_id
