matching AS MATERIALIZED (
    SELECT DISTINCT reference.image_id FROM {schema}.image_reference AS reference WHERE {filter}
), 
