-- On how many searches a project holds feedback. Kept by the transactions that change it, as image_count is.
ALTER TABLE lookalike_project ADD COLUMN feedback_count bigint NOT NULL DEFAULT 0;

-- How many searches were answered, by day (UTC). Without a foreign key, which would wait for the project's writers.
CREATE TABLE lookalike_impression (
    project_id bigint NOT NULL,
    day        date NOT NULL,
    count      bigint NOT NULL,
    PRIMARY KEY (project_id, day)
);
