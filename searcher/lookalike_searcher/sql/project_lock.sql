-- Writers to one project follow one another: no deadlocks, no lost counts, and no project is dropped under a writer.
SELECT id, name, space, image_count, reference_count, create_time, update_time
FROM lookalike_project
WHERE name = $1
FOR UPDATE
