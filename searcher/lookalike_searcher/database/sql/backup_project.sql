-- What the registry holds of a project, as JSON: columns by name, so that one that is added later is in backups too. Of
-- spaces without what is known of their indexes, which are built anew.
SELECT (to_jsonb(project) - 'id')::text AS project,
       (SELECT max(number) FROM lookalike_migration) AS registry_version,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(held) ORDER BY held.id), '[]')::text
           FROM lookalike_space AS held
           WHERE project_id = $1
       ) AS spaces,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(projection) ORDER BY space_id), '[]')::text
           FROM lookalike_projection AS projection
           JOIN lookalike_space AS space ON space.id = space_id
           WHERE project_id = $1
       ) AS projections,
       (
           SELECT coalesce(jsonb_agg(to_jsonb(impression) - 'project_id' ORDER BY day), '[]')::text
           FROM lookalike_impression AS impression
           WHERE project_id = $1
       ) AS impressions
FROM lookalike_project AS project
WHERE id = $1
