-- Writers to one project follow one another: no deadlocks, no lost counts, and no project is dropped under a writer.
SELECT id FROM lookalike_project WHERE name = $1 FOR UPDATE
