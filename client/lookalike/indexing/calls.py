"""Ask the two servers what a run of indexing needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike._operations import embedding, images, projects
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import with_retries
from lookalike.records import Project
from lookalike.v1 import searcher_pb2 as wire

if TYPE_CHECKING:
    import asyncio

    import grpc

    from lookalike._transport.stream_pool import StreamPool
    from lookalike.v1 import embedder_pb2 as embedder


@dataclass(frozen=True)
class Calls:
    """A run makes these calls on one project; all bear its request id.

    They wait for a server that is away for a minute.

    Attributes:
        call: asks the servers, under the run's request id.
        project: the project.
        space: in which its images must have a vector; empty for its only one.
        embed_streams: the most EmbedStreams at once.
        refingerprint: whether images that are there without a fingerprint are embedded again.
    """

    call: Call
    project: Project
    space: str
    embed_streams: int
    refingerprint: bool = False

    async def check_images(self, sha256s: Sequence[bytes]) -> set[bytes]:
        """Return which of these images the project holds, with all that it should hold of them."""
        project_name, space, too = self.project.name, self.space, self.refingerprint
        return await with_retries(lambda: images.check(self.call, project_name, sha256s, space, fingerprint=too))

    async def check_references(self, references: Sequence[wire.Reference]) -> Sequence[wire.ReferenceState]:
        """Return what the project holds of each of these references."""
        project_name, space = self.project.name, self.space
        return await with_retries(lambda: images.check_references(self.call, project_name, references, space))

    def check_space(self, space: str) -> None:
        """Raise PreconditionError if the project has no such space."""
        projects.check_space(self.project, space)

    def embed(
        self, requests: "asyncio.Queue[embedder.EmbedStreamRequest | None]"
    ) -> "StreamPool[embedder.EmbedStreamRequest, embedder.EmbedStreamResponse]":
        """Return the vectors of the images in a queue."""
        return embedding.bulk(self.call, requests, self.embed_streams)

    def open_index(self) -> "grpc.aio.StreamStreamCall[wire.IndexImagesRequest, wire.IndexImagesResponse]":
        """Open an IndexImages stream to the searcher."""
        return self.call.searcher.IndexImages(metadata=self.call.metadata(SEARCHER))
