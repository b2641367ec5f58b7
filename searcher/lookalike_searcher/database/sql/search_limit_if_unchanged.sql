-- How many of the nearest to look at: none unless the project is as it was read. PostgreSQL asks for this before it walks the
-- index, so that the walk has this $11 as its ef_search. $12 has the versions of the project's rows.
coalesce((
        SELECT CASE WHEN set_config('hnsw.ef_search', $11::text, true) IS NOT NULL THEN $8::bigint END
        FROM lookalike_project
        WHERE {as_read}
    ), 0)
