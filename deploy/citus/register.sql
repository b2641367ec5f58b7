-- Run on the coordinator, in the searcher's database, when all nodes are up. Each node has run CREATE EXTENSION citus in it
-- already, as the image does that; the coordinator hands CREATE EXTENSION vector on to the nodes it knows.
CREATE EXTENSION IF NOT EXISTS citus;

SELECT citus_set_coordinator_host('coordinator', 5432);
SELECT citus_add_node('worker-1', 5432);
SELECT citus_add_node('worker-2', 5432);

CREATE EXTENSION IF NOT EXISTS vector;

-- Only workers hold projects.
SELECT citus_set_node_property('coordinator', 5432, 'shouldhaveshards', false);

SELECT nodename, nodeport, isactive, shouldhaveshards FROM pg_dist_node ORDER BY nodeid;
