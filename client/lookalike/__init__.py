"""Lookalike finds the pictures that look like a picture.

    async with lookalike.Client(embedder="localhost:50051", searcher="localhost:50052") as client:
        await client.create_project("shop")
        async for outcome in client.index("shop", [lookalike.Item(image=Path("a.jpg"), uri="https://shop/a.jpg")]):
            print(outcome.uri, outcome.status, outcome.error or "")
        result = await client.search("shop", image=Path("photo.jpg"), limit=10)

Everything is in `Client`; what goes in and comes out are its records, what it raises is drawn in `lookalike.errors`.
"""

from lookalike.client import Client
from lookalike.credentials import Credentials
from lookalike.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    InvalidRequestError,
    LookalikeError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PreconditionError,
    QuotaExceededError,
    ServerError,
    UnauthenticatedError,
    UnavailableError,
    UnreadableImageError,
)
from lookalike.fetch import Settings as FetchSettings
from lookalike.indexing import Change, Plan, Seen, Shard, Watch
from lookalike.records import (
    DeleteResult,
    DuplicateCluster,
    DuplicateImage,
    DuplicateProgress,
    Embedding,
    Example,
    Filter,
    Hit,
    Image,
    ImagePage,
    Index,
    IndexState,
    Item,
    Limits,
    Match,
    Model,
    Outcome,
    Project,
    ProjectPage,
    Query,
    Reference,
    SearchMode,
    SearchResult,
    Space,
    SpaceComparison,
    SpaceFigures,
    Status,
    SyncResult,
)

__all__ = [
    "AlreadyExistsError",
    "Change",
    "Client",
    "Credentials",
    "DeadlineExceededError",
    "DeleteResult",
    "DuplicateCluster",
    "DuplicateImage",
    "DuplicateProgress",
    "Embedding",
    "Example",
    "FetchSettings",
    "Filter",
    "Hit",
    "Image",
    "ImagePage",
    "Index",
    "IndexState",
    "InvalidRequestError",
    "Item",
    "Limits",
    "LookalikeError",
    "Match",
    "Model",
    "NotFoundError",
    "Outcome",
    "OverloadedError",
    "PermissionDeniedError",
    "Plan",
    "PreconditionError",
    "Project",
    "ProjectPage",
    "Query",
    "QuotaExceededError",
    "Reference",
    "SearchMode",
    "SearchResult",
    "Seen",
    "ServerError",
    "Shard",
    "Space",
    "SpaceComparison",
    "SpaceFigures",
    "Status",
    "SyncResult",
    "UnauthenticatedError",
    "UnavailableError",
    "UnreadableImageError",
    "Watch",
]
