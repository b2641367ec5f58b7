"""A project as a file: written, and read back."""
