-- Run on the coordinator until it succeeds. To run it again does no harm, and is how a further worker is added.
CREATE EXTENSION IF NOT EXISTS citus;

SELECT citus_set_coordinator_host('citus-coordinator-0.citus-coordinator', 5432);
SELECT citus_add_node('citus-worker-0.citus-worker', 5432);
SELECT citus_add_node('citus-worker-1.citus-worker', 5432);

CREATE EXTENSION IF NOT EXISTS vector;

-- Only workers hold projects.
SELECT citus_set_node_property('citus-coordinator-0.citus-coordinator', 5432, 'shouldhaveshards', false);
