SELECT calibration.*
FROM lookalike_calibration AS calibration
JOIN lookalike_space AS space ON space.id = calibration.space_id
WHERE space.project_id = $1
ORDER BY calibration.space_id, hit_count
