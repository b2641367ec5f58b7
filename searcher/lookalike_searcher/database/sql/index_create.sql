-- The options: see the module `index`.
CREATE INDEX CONCURRENTLY {index} ON {vectors} USING hnsw (vector halfvec_cosine_ops) WITH ({options})
