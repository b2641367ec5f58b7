-- How many numbers the vectors of a space have. All so far have those of VGG16, and so do those in backups of before.
ALTER TABLE lookalike_space
    ADD COLUMN dimensions integer NOT NULL DEFAULT 512 CHECK (dimensions BETWEEN 1 AND 4000);
