"""Bounds and batches for work that is done at the same time."""
