ARRAY(SELECT DISTINCT product FROM {schema}.image_reference AS shown WHERE shown.image_id = image.id AND product <> '')
