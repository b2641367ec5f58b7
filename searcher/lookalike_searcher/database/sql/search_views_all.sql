-- As in `search_nearest_all.sql`.
SELECT candidate.image_id, (candidate.vector <=> view.vector) + 0 AS distance
        FROM {vectors} AS candidate {join_matching}
        ORDER BY distance, candidate.image_id
        LIMIT $2::bigint
