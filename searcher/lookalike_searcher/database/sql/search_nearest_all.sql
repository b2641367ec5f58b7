-- Adding nothing to the distance keeps the planner from the index, which would make the order approximate.
    SELECT candidate.image_id, (candidate.vector <=> $1) + 0 AS distance
    FROM {vectors} AS candidate {join_matching}
    WHERE candidate.image_id <> ALL ($9::bigint[])
      AND ($5::float8 IS NULL OR ((candidate.vector <=> $1), candidate.image_id) > ($5, $6::bigint))
    ORDER BY distance, candidate.image_id
    LIMIT $8::bigint
