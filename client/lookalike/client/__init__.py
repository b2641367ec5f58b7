"""Ask the embedder and the searcher as if they were one server.

    Client ─┬─ health
            ├─ embedding                 images and texts become vectors
            ├─ projects ── spaces        what a project is, and in which spaces its vectors live
            ├─ adaptation                a space of a shop's own is learned
            ├─ indexing ── images        what goes into a project, and what is in it
            ├─ search ── feedback        what is similar, and whether it was right
            ├─ copies                    which photos somebody else has used
            └─ duplicates ── dismissals  which images a project has twice

Each module has the methods for one kind of thing, in a class whose base, in `base`, holds the connections. A method
says what its users need to know; the work is done by `lookalike._operations` and `lookalike.indexing`.
"""

import os
from typing import Final, Self

from lookalike._transport.servers import Servers
from lookalike.client.adaptation import AdaptationMethods
from lookalike.client.copies import CopyMethods
from lookalike.client.dismissals import DismissalMethods
from lookalike.client.duplicates import DuplicateMethods
from lookalike.client.embedding import EmbeddingMethods
from lookalike.client.feedback import FeedbackMethods
from lookalike.client.health import HealthMethods
from lookalike.client.images import ImageMethods
from lookalike.client.indexing import IndexingMethods
from lookalike.client.projects import ProjectMethods
from lookalike.client.search import SearchMethods
from lookalike.client.spaces import SpaceMethods
from lookalike.constants import EMBEDDER_PORT, SEARCHER_PORT
from lookalike.credentials import Credentials

DEFAULT_EMBEDDER: Final = f"localhost:{EMBEDDER_PORT}"
DEFAULT_SEARCHER: Final = f"localhost:{SEARCHER_PORT}"
DEFAULT_EMBED_STREAMS: Final = 4


class Client(
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
    """The client talks to an embedder and a searcher; it is an async context manager.

    Nothing is connected before the first call, and a server may come and go: calls that can be repeated without harm
    are tried again for a few seconds, streams are resumed. All that one call of a method sends bears one
    `x-request-id`, which the servers log and `LookalikeError.request_id` tells.

    Args:
        embedder: the embedder's address, any gRPC target: all addresses it resolves to are used in turn.
        searcher: the searcher's address.
        timeout: seconds until a call gives up, and the most that a stream may owe an answer.
        embed_streams: over how many streams a run of `index` spreads its images, and so over how many embedders at
            most; a small run opens fewer.
        credentials: how servers are reached that are not open to everybody; left out, as the environment says.
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
        if embed_streams < 1:
            raise ValueError(f"embed_streams must be at least 1, got {embed_streams}")
        servers = Servers(embedder, searcher, timeout, credentials or Credentials.from_env())
        super().__init__(servers, embed_streams)

    @classmethod
    def from_env(cls, *, timeout: float = 30.0, embed_streams: int = DEFAULT_EMBED_STREAMS) -> Self:
        """Return a client for the servers that LOOKALIKE_EMBEDDER and LOOKALIKE_SEARCHER name, else on this machine."""
        return cls(
            os.environ.get("LOOKALIKE_EMBEDDER") or DEFAULT_EMBEDDER,
            os.environ.get("LOOKALIKE_SEARCHER") or DEFAULT_SEARCHER,
            timeout=timeout,
            embed_streams=embed_streams,
        )
