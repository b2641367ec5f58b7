-- One row of each search first: the best rank of a hit that was right, or clicked and not wrong.
SELECT count(*) AS judged, count(*) FILTER (WHERE clicks > 0) AS clicked, coalesce(sum(right_hits), 0)::bigint AS right_hits,
       coalesce(sum(wrong_hits), 0)::bigint AS wrong_hits, avg(coalesce(1.0 / best, 0))::float8 AS reciprocal_rank
FROM (
    SELECT count(*) FILTER (WHERE clicked) AS clicks, count(*) FILTER (WHERE is_right) AS right_hits,
           count(*) FILTER (WHERE NOT is_right) AS wrong_hits,
           min(rank) FILTER (WHERE coalesce(is_right, clicked)) AS best
    FROM {schema}.feedback
    JOIN {schema}.verdict ON verdict.search_id = feedback.search_id
    WHERE feedback.search_time >= $1
    GROUP BY feedback.search_id
) AS search
