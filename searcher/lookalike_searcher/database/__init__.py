"""PostgreSQL: connections, statements, migrations, replicas."""
