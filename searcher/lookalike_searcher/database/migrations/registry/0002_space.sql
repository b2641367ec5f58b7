-- A project may have several embedding spaces, of which one serves: lookalike_project.space names it.
CREATE TABLE lookalike_space (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id  bigint NOT NULL REFERENCES lookalike_project (id) ON DELETE CASCADE,
    name        text NOT NULL,
    -- Whether every image of the project has a vector in it, now and by what writers must send.
    complete    boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- When its HNSW index was completed; null while there is none.
    index_time  timestamptz,
    -- The least hnsw.ef_search that reached the recall target for 10 and for 100 hits, as measured on the index; above
    -- 1,000, pgvector's most, none did.
    ef_search_10  integer NOT NULL DEFAULT 0,
    ef_search_100 integer NOT NULL DEFAULT 0,
    -- The target, and how many images there were then.
    recall_target    real NOT NULL DEFAULT 0,
    calibrated_count bigint NOT NULL DEFAULT 0,
    -- The mean of the last samples of real searches, and how many samples there were; see the module `recall`.
    recall        real NOT NULL DEFAULT 0,
    recall_count  bigint NOT NULL DEFAULT 0,
    UNIQUE (project_id, name)
);

INSERT INTO lookalike_space (project_id, name, complete, create_time)
SELECT id, space, true, create_time FROM lookalike_project;

ALTER TABLE lookalike_project
    -- Limits; 0 stands for the searcher's own.
    ADD COLUMN max_images bigint NOT NULL DEFAULT 0,
    ADD COLUMN max_hits integer NOT NULL DEFAULT 0,
    ADD COLUMN searches_per_second double precision NOT NULL DEFAULT 0,
    ADD COLUMN max_batch integer NOT NULL DEFAULT 0,
    -- Images deleted since the vectors were last vacuumed, and since their indexes were last built.
    ADD COLUMN deleted_since_vacuum bigint NOT NULL DEFAULT 0,
    ADD COLUMN deleted_since_index bigint NOT NULL DEFAULT 0;
