"""The searcher keeps projects, images and references in PostgreSQL, and ranks images by cosine."""
