EXISTS (SELECT FROM {schema}.image_reference AS reference WHERE reference.image_id = image.id AND {filter})
