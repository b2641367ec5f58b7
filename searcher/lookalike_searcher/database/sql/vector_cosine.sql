SELECT image_id, 1 - (vector <=> $1) AS cosine FROM {vectors} WHERE image_id = ANY ($2::bigint[])
