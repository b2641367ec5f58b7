-- What derived spaces are made by: y = M (x - c) at length 1, of the vectors x of another space of the project.
CREATE TABLE lookalike_projection (
    space_id  bigint PRIMARY KEY REFERENCES lookalike_space (id) ON DELETE CASCADE,
    source_id bigint NOT NULL REFERENCES lookalike_space (id) ON DELETE CASCADE,
    -- M row by row, and c: 32-bit floats, little-endian
    matrix    bytea NOT NULL,
    centre    bytea NOT NULL,
    -- What was stored before it came is projected in order of images, up to here so far; then writers do it all.
    filled_to bigint NOT NULL DEFAULT 0,
    filled    boolean NOT NULL DEFAULT false
);
