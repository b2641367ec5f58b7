-- Takes the place of asyncpg's own look-up of types, with its columns. That one compares all of pg_type, which has a dozen rows
-- for each project. This one knows arrays and scalars, and finds each by its number.
WITH RECURSIVE wanted (oid, depth) AS (
    SELECT asked.oid, 0 FROM unnest($1::oid[]) AS asked (oid)
    UNION ALL
    SELECT typelem, depth + 1 FROM wanted JOIN pg_type USING (oid) WHERE typlen = -1 AND typelem <> 0
)
SELECT DISTINCT
    type.oid, nspname AS ns, type.typname AS name, type.typtype AS kind, NULL::oid AS basetype, type.typelem AS elemtype,
    element.typdelim AS elemdelim, NULL::oid AS range_subtype, NULL::oid[] AS attrtypoids, NULL::text[] AS attrnames,
    depth, NULL::text AS basetype_name, type.typelem::regtype::text AS elemtype_name, NULL::text AS range_subtype_name
FROM wanted
JOIN pg_type AS type USING (oid)
JOIN pg_namespace ON pg_namespace.oid = type.typnamespace
LEFT JOIN pg_type AS element ON type.typlen = -1 AND element.oid = type.typelem
ORDER BY depth DESC
