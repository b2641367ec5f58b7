-- Vectors stay in their rows. From some 1,000 dimensions on, PostgreSQL would move them out; exact rankings were then two to
-- four times as slow.
CREATE TABLE {vectors} (
    image_id bigint PRIMARY KEY REFERENCES {schema}.image (id) ON DELETE CASCADE,
    vector   halfvec({dimensions}) STORAGE PLAIN NOT NULL
)
