-- Whether fingerprints of the project's images are left out. Those of before stay.
ALTER TABLE lookalike_project ADD COLUMN fingerprints_disabled boolean NOT NULL DEFAULT false;
