-- What users thought of searches' hits. Searches themselves are not stored: of the query there is what came with feedback.
CREATE TABLE {schema}.feedback (
    -- the order in which searches first got feedback
    id           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    search_id    bytea PRIMARY KEY CHECK (octet_length(search_id) = 16),
    search_time  timestamptz NOT NULL,
    query_sha256 bytea CHECK (octet_length(query_sha256) = 32),
    -- both or neither
    space        text,
    vector       halfvec(512)
);

CREATE INDEX feedback_search_time ON {schema}.feedback (search_time);

-- Images are named by hash, without a foreign key: feedback outlives them.
CREATE TABLE {schema}.verdict (
    search_id   bytea NOT NULL REFERENCES {schema}.feedback (search_id) ON DELETE CASCADE,
    sha256      bytea NOT NULL CHECK (octet_length(sha256) = 32),
    rank        integer NOT NULL CHECK (rank > 0),
    -- null if neither was said
    is_right    boolean,
    clicked     boolean NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (search_id, sha256)
);
