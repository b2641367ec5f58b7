"""Provide the command line `lookalike`."""

from lookalike.cli.app import main

__all__ = ["main"]
