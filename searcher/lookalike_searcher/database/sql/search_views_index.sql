-- As in `search_nearest_index.sql`.
SELECT candidate.image_id, candidate.vector <=> view.vector AS distance
        FROM {vectors} AS candidate
        WHERE true {where_matching}
        ORDER BY candidate.vector <=> view.vector
        LIMIT $2::bigint
