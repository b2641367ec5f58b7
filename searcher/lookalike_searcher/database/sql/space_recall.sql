-- Takes a sample $3 into the mean of the last $4. If that falls below the target $5 after $6 samples or more, searches look
-- half as deep again, and the mean begins anew.
UPDATE lookalike_space AS space
SET recall = mean.recall,
    recall_count = CASE WHEN mean.low THEN 0 ELSE space.recall_count + 1 END,
    ef_search_10 = CASE WHEN mean.low THEN ceil(space.ef_search_10 * 1.5) ELSE space.ef_search_10 END,
    ef_search_100 = CASE WHEN mean.low THEN ceil(space.ef_search_100 * 1.5) ELSE space.ef_search_100 END
FROM (
    SELECT old.id, weighed.recall, weighed.recall < $5::float8 AND old.recall_count + 1 >= $6::bigint AS low
    FROM lookalike_space AS old
    JOIN lookalike_project AS project ON project.id = old.project_id
    CROSS JOIN LATERAL (
        SELECT old.recall + ($3::float8 - old.recall) / least(old.recall_count + 1, $4::bigint) AS recall
    ) AS weighed
    WHERE project.name = $1 AND old.name = $2
) AS mean
WHERE space.id = mean.id
RETURNING space.recall
