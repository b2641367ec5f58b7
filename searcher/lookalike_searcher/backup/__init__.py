"""Write a project to a file, and restore it."""
