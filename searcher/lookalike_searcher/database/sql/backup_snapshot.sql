-- Where a project is on another machine than the registry, its snapshot begins with the first statement that goes there.
SELECT FROM {schema}.image LIMIT 1
