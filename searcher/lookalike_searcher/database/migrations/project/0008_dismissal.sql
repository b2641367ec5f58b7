-- Pairs of images of which somebody said that they are no duplicates. They are named by hash, without a foreign key: what was
-- said outlives them.
CREATE TABLE {schema}.dismissal (
    -- the order in which it was said
    id           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    sha256       bytea NOT NULL CHECK (octet_length(sha256) = 32),
    other_sha256 bytea NOT NULL CHECK (octet_length(other_sha256) = 32),
    create_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sha256, other_sha256),
    CHECK (sha256 < other_sha256)
);

CREATE INDEX dismissal_other ON {schema}.dismissal (other_sha256);

-- In bytes; 0 if unknown. Of images that are there already nobody has said it.
ALTER TABLE {schema}.image ADD COLUMN file_size bigint NOT NULL DEFAULT 0 CHECK (file_size >= 0);
