"""Adapt a project to its shop: learn a projection from the project's vectors, measure it, and publish it as a space.

This package needs numpy, from the extra `adapt`.
"""
