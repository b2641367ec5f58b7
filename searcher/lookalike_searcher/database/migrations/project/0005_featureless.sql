-- Whether the image shows nothing but one colour, as an embedder said with one of its vectors. Of images that are there
-- already nobody has said so.
ALTER TABLE {schema}.image ADD COLUMN featureless boolean NOT NULL DEFAULT false;

-- They are few, and searches for duplicates leave them out.
CREATE INDEX image_featureless ON {schema}.image (id) WHERE featureless;
