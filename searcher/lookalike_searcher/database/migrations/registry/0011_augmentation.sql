ALTER TABLE lookalike_projection
    -- Vectors of the space are drawn towards so many of their nearest.
    ADD COLUMN neighbours smallint NOT NULL DEFAULT 0 CHECK (neighbours BETWEEN 0 AND 64),
    -- In order of images, up to here so far.
    ADD COLUMN augmented_to bigint NOT NULL DEFAULT 0,
    -- When the project had last changed when none was left; NULL before that.
    ADD COLUMN augmented_time timestamptz;

ALTER TABLE lookalike_tuning ADD COLUMN neighbours smallint NOT NULL DEFAULT 0;
