"""Bound and batch work that is done at the same time."""
