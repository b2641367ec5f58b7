"""Build responses from the domain's types."""

from lookalike_searcher.rpc.respond.duplicates import dismissal, duplicates
from lookalike_searcher.rpc.respond.feedback import feedback, quality
from lookalike_searcher.rpc.respond.image import acknowledged, exported, images, index_status, indexed, listed, states
from lookalike_searcher.rpc.respond.project import comparison, project
from lookalike_searcher.rpc.respond.search import ranking

__all__ = [
    "acknowledged",
    "comparison",
    "dismissal",
    "duplicates",
    "exported",
    "feedback",
    "images",
    "index_status",
    "indexed",
    "listed",
    "project",
    "quality",
    "ranking",
    "states",
]
