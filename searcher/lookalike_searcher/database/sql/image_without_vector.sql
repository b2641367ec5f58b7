AND NOT EXISTS (SELECT FROM {vectors} AS stored WHERE stored.image_id = image.id)
