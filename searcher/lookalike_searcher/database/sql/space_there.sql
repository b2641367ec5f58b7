AND to_regclass('{vectors}') IS NOT NULL
