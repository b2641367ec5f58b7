"""Projects and their embedding spaces."""
