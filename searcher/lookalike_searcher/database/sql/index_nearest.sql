SELECT vector <=> $1 AS distance FROM {vectors} ORDER BY vector <=> $1 LIMIT $2
