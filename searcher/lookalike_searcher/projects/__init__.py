"""Keep projects and their embedding spaces."""
