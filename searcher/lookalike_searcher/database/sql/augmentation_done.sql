-- Vectors up to the image $2 are augmented; $3 is when the project had last changed if these were all, or else NULL. If the
-- space has an index, $4 places in it are dead.
WITH dead AS (
    UPDATE lookalike_project SET deleted_since_vacuum = deleted_since_vacuum + $4
    WHERE id = (SELECT project_id FROM lookalike_space WHERE id = $1 AND index_time IS NOT NULL) AND $4 > 0
)
UPDATE lookalike_projection SET augmented_to = $2, augmented_time = coalesce($3, augmented_time) WHERE space_id = $1
