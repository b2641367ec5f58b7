-- As feedback_quality, of searches from $1 until $2, with the variance over searches.
SELECT count(*) AS judged, count(*) FILTER (WHERE clicks > 0) AS clicked,
       coalesce(avg(coalesce(1.0 / best, 0)), 0)::float8 AS reciprocal_rank,
       coalesce(var_samp(coalesce(1.0 / best, 0)), 0)::float8 AS variance
FROM (
    SELECT count(*) FILTER (WHERE clicked) AS clicks, min(rank) FILTER (WHERE coalesce(is_right, clicked)) AS best
    FROM {schema}.feedback
    JOIN {schema}.verdict ON verdict.search_id = feedback.search_id
    WHERE feedback.search_time >= $1 AND feedback.search_time < $2
    GROUP BY feedback.search_id
) AS search
