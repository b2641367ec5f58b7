-- Takes a sample $3 into the mean of the last $4. If that, after $6 samples or more, is below the target $5 by three standard
-- errors (of samples with ten hits), so that it is hardly chance, searches look half as deep again, at most $7. If that of $4
-- samples misses less than a fifth of what the target allows, they look a tenth less deep, at least $8. The mean then begins
-- anew.
UPDATE lookalike_space AS space
SET recall = mean.recall,
    recall_count = CASE WHEN mean.factor = 1 THEN space.recall_count + 1 ELSE 0 END,
    ef_search_10 = CASE
        WHEN space.ef_search_10 > $7::int THEN space.ef_search_10  -- exact rankings
        ELSE least($7::int, greatest($8::int, ceil(space.ef_search_10 * mean.factor)))
    END,
    ef_search_100 = CASE
        WHEN space.ef_search_100 > $7::int THEN space.ef_search_100
        ELSE least($7::int, greatest($8::int, ceil(space.ef_search_100 * mean.factor)))
    END
FROM (
    SELECT old.id, weighed.recall, old.ef_search_10,
           CASE
               WHEN old.recall_count + 1 >= $6::bigint AND weighed.recall < $5::float8
                   - 3 * sqrt($5::float8 * (1 - $5::float8) / (10 * least(old.recall_count + 1, $4::bigint))) THEN 1.5
               WHEN weighed.recall > 1 - (1 - $5::float8) / 5 AND old.recall_count + 1 >= $4::bigint THEN 0.9
               ELSE 1
           END AS factor
    FROM lookalike_space AS old
    JOIN lookalike_project AS project ON project.id = old.project_id
    CROSS JOIN LATERAL (
        SELECT old.recall + ($3::float8 - old.recall) / least(old.recall_count + 1, $4::bigint) AS recall
    ) AS weighed
    WHERE project.name = $1 AND old.name = $2
) AS mean
WHERE space.id = mean.id
RETURNING space.recall, mean.ef_search_10 AS before, space.ef_search_10 AS after
