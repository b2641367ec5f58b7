"""Connect the searcher to PostgreSQL: connections, statements, migrations and replicas."""
