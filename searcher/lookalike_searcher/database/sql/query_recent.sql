SELECT vector FROM lookalike_recent_query WHERE space_id = $1 ORDER BY place
