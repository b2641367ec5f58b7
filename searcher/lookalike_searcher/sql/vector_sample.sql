SELECT vector FROM {vectors} ORDER BY random() LIMIT $1
