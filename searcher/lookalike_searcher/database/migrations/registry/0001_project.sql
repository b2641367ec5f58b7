-- The registry: one row per project. A project's images live in a schema of their own, p<id>.
CREATE TABLE lookalike_project (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    space           text NOT NULL,
    -- the number of the last migration that was applied to the project's schema
    schema_version  integer NOT NULL,
    -- Kept by the transactions that change them, which hold this row's lock: exact, and read without a count.
    image_count     bigint NOT NULL DEFAULT 0,
    reference_count bigint NOT NULL DEFAULT 0,
    create_time     timestamptz NOT NULL DEFAULT now(),
    update_time     timestamptz NOT NULL DEFAULT now()
);
