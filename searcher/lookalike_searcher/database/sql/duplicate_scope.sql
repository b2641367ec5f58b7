-- What is to be known of each image to say which of its pairs are meant.
SELECT image.id, {one} AS one, {other} AS other, {newer} AS newer, {products} AS products
FROM {schema}.image
WHERE image.id = ANY ($1::bigint[])
