"""What goes in and what comes out: frozen dataclasses, each field with its unit or range."""

from lookalike.records.duplicate import DuplicateCluster, DuplicateImage, DuplicateProgress
from lookalike.records.feedback import Feedback, HitFeedback, HitVerdict, SearchQuality, Verdict
from lookalike.records.image import (
    DeleteResult,
    Embedding,
    Image,
    ImagePage,
    Item,
    Model,
    Outcome,
    Reference,
    Status,
    SyncResult,
)
from lookalike.records.project import (
    Index,
    IndexState,
    Limits,
    Project,
    ProjectPage,
    Space,
    SpaceComparison,
    SpaceFigures,
)
from lookalike.records.search import Example, Filter, Hit, Match, Query, SearchMode, SearchResult

__all__ = [
    "DeleteResult",
    "DuplicateCluster",
    "DuplicateImage",
    "DuplicateProgress",
    "Embedding",
    "Example",
    "Feedback",
    "Filter",
    "Hit",
    "HitFeedback",
    "HitVerdict",
    "Image",
    "ImagePage",
    "Index",
    "IndexState",
    "Item",
    "Limits",
    "Match",
    "Model",
    "Outcome",
    "Project",
    "ProjectPage",
    "Query",
    "Reference",
    "SearchMode",
    "SearchQuality",
    "SearchResult",
    "Space",
    "SpaceComparison",
    "SpaceFigures",
    "Status",
    "SyncResult",
    "Verdict",
]
