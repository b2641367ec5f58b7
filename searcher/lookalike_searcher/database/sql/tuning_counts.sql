SELECT tuning_policy AS policy, coalesce(stage, 'idle') AS stage, count(*) AS count
FROM lookalike_project AS project
LEFT JOIN lookalike_tuning AS tuning ON tuning.project_id = project.id
GROUP BY 1, 2
