SELECT coalesce(sum(count), 0)::bigint FROM lookalike_impression WHERE project_id = $1 AND day >= $2 AND day < $3
