-- pgvector's own m and ef_construction, which `make bench-searcher` found enough.
CREATE INDEX CONCURRENTLY {index} ON {vectors} USING hnsw (vector halfvec_cosine_ops) WITH (m = 16, ef_construction = 64)
