-- How far the searcher may tune a project by itself.
ALTER TABLE lookalike_project
    ADD COLUMN tuning_policy text NOT NULL DEFAULT 'propose' CHECK (tuning_policy IN ('off', 'propose', 'auto'));

ALTER TABLE lookalike_projection
    -- What it was learned from, to be shown; empty if nobody said so.
    ADD COLUMN learning jsonb NOT NULL DEFAULT '{}',
    -- Images after this one came later, so it was not learned from them. Of spaces that are there already it is not known.
    ADD COLUMN learned_to bigint NOT NULL DEFAULT 9007199254740992;

-- How far the tuning of a project has come. Without a row it has not begun.
CREATE TABLE lookalike_tuning (
    project_id     bigint PRIMARY KEY REFERENCES lookalike_project (id) ON DELETE CASCADE,
    stage          text NOT NULL CHECK (stage IN ('idle', 'proposed', 'building', 'watching')),
    -- the last step, why, and when
    step           text NOT NULL,
    detail         text NOT NULL,
    step_time      timestamptz NOT NULL,
    -- how many images, and searches with feedback, there were when it was last learned
    image_count    bigint NOT NULL DEFAULT 0,
    feedback_count bigint NOT NULL DEFAULT 0,
    -- what is proposed, built or watched: a space by name, how it is derived, and what it was learned from
    space          text NOT NULL DEFAULT '',
    source         text NOT NULL DEFAULT '',
    matrix         bytea,
    centre         bytea,
    learning       jsonb NOT NULL DEFAULT '{}',
    -- the space that served before, and how good its searches were
    previous       text NOT NULL DEFAULT '',
    baseline       jsonb NOT NULL DEFAULT '{}'
);
