"""The approximate indexes, and the background task that keeps them in order."""
