SELECT (vector <=> $1) + 0 AS distance FROM {vectors} ORDER BY distance LIMIT $2
