-- What copies of an image are proven by. Of images that are there already nobody has sent one. They are read for a few images
-- at a time, so they lie outside of the rows, and as they are: neither pictures nor bits can be compressed.
CREATE TABLE {schema}.fingerprint (
    image_id  bigint PRIMARY KEY REFERENCES {schema}.image (id) ON DELETE CASCADE,
    -- how it was made: only fingerprints of one version can be compared
    version   text NOT NULL,
    picture   bytea STORAGE EXTERNAL NOT NULL,
    keypoints bytea STORAGE EXTERNAL NOT NULL
);
