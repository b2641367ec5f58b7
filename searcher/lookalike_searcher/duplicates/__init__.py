"""The duplicates of a whole project."""
