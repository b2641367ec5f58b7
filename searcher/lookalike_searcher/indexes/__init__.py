"""Build the approximate indexes, and maintain them by a background task."""
