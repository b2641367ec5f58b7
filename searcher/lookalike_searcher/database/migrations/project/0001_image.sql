-- A project: its different images, and the places where they are used (many to many, as a place names one image and
-- several products).
CREATE SCHEMA {schema};

CREATE TABLE {schema}.image (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256      bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    vector      halfvec(512) NOT NULL,
    -- in pixels; 0 if unknown
    width       integer NOT NULL CHECK (width >= 0),
    height      integer NOT NULL CHECK (height >= 0),
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.image_reference (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image_id bigint NOT NULL REFERENCES {schema}.image (id),
    uri      text NOT NULL,
    product  text NOT NULL,
    variant  text NOT NULL,
    staged   boolean NOT NULL,
    labels   jsonb NOT NULL,
    UNIQUE (uri, product, variant, staged)
);

CREATE INDEX ON {schema}.image_reference (image_id);
