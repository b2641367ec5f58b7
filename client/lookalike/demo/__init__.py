"""Demonstrate Lookalike with real photos, altered copies of them, and real servers."""
