"""Lookalike finds the pictures that look like a picture.

async with lookalike.Client(embedder="localhost:50051", searcher="localhost:50052") as client:
await client.create_project("shop")
async for outcome in client.index("shop", [lookalike.Item(image=Path("a.jpg"), uri="https://shop/a.jpg")]):
print(outcome.uri, outcome.status, outcome.error or "")
result = await client.search("shop", image=Path("photo.jpg"), limit=10)
"""

from lookalike.client import Client
from lookalike.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    InvalidRequestError,
    LookalikeError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServerError,
    UnavailableError,
    UnreadableImageError,
)
from lookalike.records import (
    Embedding,
    Hit,
    Item,
    Match,
    Model,
    Outcome,
    Project,
    Reference,
    SearchMode,
    SearchResult,
    Status,
)

__all__ = [
    "AlreadyExistsError",
    "Client",
    "DeadlineExceededError",
    "Embedding",
    "Hit",
    "InvalidRequestError",
    "Item",
    "LookalikeError",
    "Match",
    "Model",
    "NotFoundError",
    "Outcome",
    "OverloadedError",
    "PreconditionError",
    "Project",
    "Reference",
    "SearchMode",
    "SearchResult",
    "ServerError",
    "Status",
    "UnavailableError",
    "UnreadableImageError",
]
