"""Find the duplicates of a whole project."""
