    SELECT candidate.image_id, (candidate.vector <=> $1) + 0 AS distance
    FROM {vectors} AS candidate {join_matching}
    WHERE candidate.image_id <> ALL ($9::bigint[])
    LIMIT $8::bigint
