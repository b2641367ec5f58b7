"""Adapting to a shop: a projection is learned from vectors that the project holds, measured, and published as a space.

Needs numpy, from the extra `adapt`.
"""
