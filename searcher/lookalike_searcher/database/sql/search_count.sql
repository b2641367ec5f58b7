-- How many references pass the filter, counted no further than $1.
SELECT count(*)
FROM (SELECT FROM {schema}.image_reference AS reference WHERE {filter} LIMIT $1::bigint) AS reference
