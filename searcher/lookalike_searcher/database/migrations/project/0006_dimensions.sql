-- A search, and so the query that feedback has, may be in any of the project's spaces. These have dimensions of their own.
ALTER TABLE {schema}.feedback ALTER COLUMN vector TYPE halfvec;
