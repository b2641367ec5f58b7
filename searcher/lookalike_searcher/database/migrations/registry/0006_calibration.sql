-- Calibration measures with other queries now, and no longer gives indexes up for exact rankings: all are calibrated again.
UPDATE lookalike_space SET calibrated_count = 0 WHERE index_time IS NOT NULL;
