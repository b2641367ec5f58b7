-- Feedback with a space and no vector in it, or the other way round, if there is such.
SELECT id
FROM {schema}.feedback
WHERE (space IS NULL) <> (vector IS NULL)
LIMIT 1
