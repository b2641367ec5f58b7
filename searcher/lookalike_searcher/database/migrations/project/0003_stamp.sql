-- What tells an indexer whether the file at the URI has changed since: an ETag, or its time and size.
ALTER TABLE {schema}.image_reference ADD COLUMN stamp text NOT NULL DEFAULT '';
