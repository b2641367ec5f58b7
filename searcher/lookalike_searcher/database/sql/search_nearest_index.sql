-- A filter is a subquery that cannot become a join, so that the index is walked in order of distance.
    SELECT candidate.image_id, candidate.vector <=> $1 AS distance
    FROM {vectors} AS candidate
    WHERE candidate.image_id <> ALL ($9::bigint[]) {where_matching}
    ORDER BY candidate.vector <=> $1
    LIMIT {limit}
