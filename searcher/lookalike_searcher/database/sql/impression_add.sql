-- In order of project, so that searchers do not wait for one another in a circle. A project may be gone by now.
INSERT INTO lookalike_impression AS impression (project_id, day, count)
SELECT added.project_id, added.day, added.count
FROM unnest($1::bigint[], $2::date[], $3::bigint[]) AS added (project_id, day, count)
JOIN lookalike_project AS project ON project.id = added.project_id
ORDER BY added.project_id, added.day
ON CONFLICT (project_id, day) DO UPDATE SET count = impression.count + excluded.count
