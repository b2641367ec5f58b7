"""The searcher: projects, images and references in PostgreSQL, ranked by cosine."""
