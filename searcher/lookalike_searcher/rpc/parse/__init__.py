"""Parse requests into the domain's types. Every request is checked here, field by field, and nowhere else."""

from lookalike_searcher.rpc.parse.duplicates import dismissed, duplicates, merged
from lookalike_searcher.rpc.parse.entry import entries, one_project, synced
from lookalike_searcher.rpc.parse.feedback import deleted_feedback, feedback
from lookalike_searcher.rpc.parse.project import derivation, dimensions, export, limits, tuning_policy, update
from lookalike_searcher.rpc.parse.reference import after, hashes, names, possible
from lookalike_searcher.rpc.parse.search import filter_, limit, search

__all__ = [
    "after",
    "deleted_feedback",
    "derivation",
    "dimensions",
    "dismissed",
    "duplicates",
    "entries",
    "export",
    "feedback",
    "filter_",
    "hashes",
    "limit",
    "limits",
    "merged",
    "names",
    "one_project",
    "possible",
    "search",
    "synced",
    "tuning_policy",
    "update",
]
