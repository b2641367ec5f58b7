AND (
        SELECT true
        FROM {schema}.image_reference AS reference
        WHERE reference.image_id = candidate.image_id AND {filter}
        LIMIT 1
    )
