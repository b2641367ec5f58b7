CREATE TABLE {vectors} (
    image_id bigint PRIMARY KEY REFERENCES {schema}.image (id) ON DELETE CASCADE,
    vector   halfvec(512) NOT NULL
)
