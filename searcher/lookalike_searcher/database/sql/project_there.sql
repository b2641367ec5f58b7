, to_regclass('p' || project.id || '.vector_' || space_id) IS NOT NULL AS there -- looks past the snapshot
