-- Vectors move to a table for each space, so that a second space can be filled beside the one that serves.
CREATE TABLE {vectors} (
    image_id bigint PRIMARY KEY REFERENCES {schema}.image (id) ON DELETE CASCADE,
    vector   halfvec(512) NOT NULL
);

INSERT INTO {vectors} (image_id, vector) SELECT id, vector FROM {schema}.image;

ALTER TABLE {schema}.image DROP COLUMN vector;

-- Bytes in order, whatever the database's collation: the index then finds prefixes.
ALTER TABLE {schema}.image_reference ALTER COLUMN uri TYPE text COLLATE "C";

-- What is filtered by. labels: only `@>` is asked, which jsonb_path_ops answers from a smaller index.
CREATE INDEX image_reference_product ON {schema}.image_reference (product);
CREATE INDEX image_reference_variant ON {schema}.image_reference (variant);
CREATE INDEX image_reference_labels ON {schema}.image_reference USING gin (labels jsonb_path_ops);
