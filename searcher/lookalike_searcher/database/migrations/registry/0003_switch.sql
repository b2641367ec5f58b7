-- Whether the project's searches are switched off. By default they are not.
ALTER TABLE lookalike_project ADD COLUMN search_disabled boolean NOT NULL DEFAULT false;
