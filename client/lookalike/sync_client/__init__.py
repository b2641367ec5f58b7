"""Ask both servers from code that has no event loop: Django, Flask, Celery, notebooks.

The modules beside `base` and `loop_thread` are written by `tools/sync_client.py`, from those of `lookalike.client`.
"""

import os
from functools import partial
from typing import Self

from lookalike.client import DEFAULT_EMBED_STREAMS, DEFAULT_EMBEDDER, DEFAULT_SEARCHER, Client
from lookalike.credentials import Credentials
from lookalike.sync_client.adaptation import AdaptationMethods
from lookalike.sync_client.copies import CopyMethods
from lookalike.sync_client.dismissals import DismissalMethods
from lookalike.sync_client.duplicates import DuplicateMethods
from lookalike.sync_client.embedding import EmbeddingMethods
from lookalike.sync_client.feedback import FeedbackMethods
from lookalike.sync_client.health import HealthMethods
from lookalike.sync_client.images import ImageMethods
from lookalike.sync_client.indexing import IndexingMethods
from lookalike.sync_client.projects import ProjectMethods
from lookalike.sync_client.search import SearchMethods
from lookalike.sync_client.spaces import SpaceMethods


class SyncClient(
    HealthMethods,
    EmbeddingMethods,
    ProjectMethods,
    SpaceMethods,
    AdaptationMethods,
    ImageMethods,
    IndexingMethods,
    SearchMethods,
    CopyMethods,
    FeedbackMethods,
    DuplicateMethods,
    DismissalMethods,
):
    """`SyncClient` is `Client` with methods that block. It may be used from several threads, and at the module level.

    All calls run on one event loop in a thread of its own, which begins with the first call. After a fork the child has
    a loop and connections of its own. What is iterated over runs one step ahead of the caller; the items of `index` are
    read in the client's thread.

    Args: see `Client`.
    """

    def __init__(
        self,
        embedder: str = DEFAULT_EMBEDDER,
        searcher: str = DEFAULT_SEARCHER,
        *,
        timeout: float = 30.0,
        embed_streams: int = DEFAULT_EMBED_STREAMS,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(
            partial(Client, embedder, searcher, timeout=timeout, embed_streams=embed_streams, credentials=credentials)
        )

    @classmethod
    def from_env(cls, *, timeout: float = 30.0, embed_streams: int = DEFAULT_EMBED_STREAMS) -> Self:
        """Return a client for the servers that LOOKALIKE_EMBEDDER and LOOKALIKE_SEARCHER name, else on this machine."""
        return cls(
            os.environ.get("LOOKALIKE_EMBEDDER") or DEFAULT_EMBEDDER,
            os.environ.get("LOOKALIKE_SEARCHER") or DEFAULT_SEARCHER,
            timeout=timeout,
            embed_streams=embed_streams,
        )
