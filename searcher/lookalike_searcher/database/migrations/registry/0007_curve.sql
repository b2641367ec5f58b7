-- What the last calibration of a space's index measured, for each number of hits: recall and seconds by hnsw.ef_search.
CREATE TABLE lookalike_calibration (
    space_id         bigint NOT NULL REFERENCES lookalike_space (id) ON DELETE CASCADE,
    hit_count        integer NOT NULL,
    ef_searches      integer[] NOT NULL,
    recalls          double precision[] NOT NULL,
    seconds          double precision[] NOT NULL,
    exact_seconds    double precision NOT NULL,
    image_count      bigint NOT NULL,
    query_count      integer NOT NULL,
    -- how many of these were real searches'
    real_query_count integer NOT NULL,
    create_time      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space_id, hit_count)
);

-- Vectors of some recent searches in a space, with which its index is calibrated. A new one takes a place at random.
CREATE TABLE lookalike_recent_query (
    space_id bigint NOT NULL REFERENCES lookalike_space (id) ON DELETE CASCADE,
    place    integer NOT NULL,
    vector   halfvec NOT NULL,
    PRIMARY KEY (space_id, place)
);

-- The options that a space's index was built with. All so far have pgvector's own.
ALTER TABLE lookalike_space ADD COLUMN hnsw_options text NOT NULL DEFAULT 'm = 16, ef_construction = 64';

-- Calibrations are kept from now on, and choose between index and exact ranking by time: all are made again.
UPDATE lookalike_space SET calibrated_count = 0 WHERE index_time IS NOT NULL;
