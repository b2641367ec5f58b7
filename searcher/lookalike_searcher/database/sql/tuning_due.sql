-- Projects that may be tuned, and have something to do: $1 images from which on it is learned, $2 the growth after which it
-- is learned again, $3 the searches with feedback that must be added in any case, $4 images from which on an index is built: it
-- comes first.
SELECT project.id AS project_id, project.name AS project, project.image_count, project.feedback_count,
       coalesce(stage, 'idle') AS stage, extract(epoch FROM now() - project.update_time)::float8 AS idle_seconds
FROM lookalike_project AS project
LEFT JOIN lookalike_tuning AS tuning ON tuning.project_id = project.id
WHERE tuning_policy <> 'off'
  AND CASE
      WHEN stage IN ('building', 'watching') THEN true
      WHEN stage = 'proposed' AND tuning_policy = 'auto' THEN true
      ELSE project.image_count >= $1::bigint AND NOT EXISTS (
          SELECT FROM lookalike_space AS space
          WHERE space.project_id = project.id AND space.name = project.space
          AND index_time IS NULL AND project.image_count >= $4::bigint
      ) AND (
          stage IS NULL OR project.image_count >= tuning.image_count * $2::float8
          OR project.feedback_count >= tuning.feedback_count * $2::float8 + $3::bigint
      )
  END
ORDER BY project.image_count
