"""The client: embedder and searcher as one."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lookalike import convert, photo
from lookalike.channel import EMBEDDER, SEARCHER
from lookalike.errors import LookalikeError
from lookalike.patience import patiently
from lookalike.pipeline import Pipeline
from lookalike.records import Embedding, Item, Model, Outcome, Project, SearchResult
from lookalike.servers import Servers, metadata, new_request_id
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike.wire import EMBEDDER_PORT, SEARCHER_PORT

DEFAULT_EMBEDDER: Final = f"localhost:{EMBEDDER_PORT}"
DEFAULT_SEARCHER: Final = f"localhost:{SEARCHER_PORT}"
DEFAULT_LIMIT: Final = 10
DEFAULT_EMBED_STREAMS: Final = 4


class Client:
    """Talks to an embedder and a searcher; an async context manager.

    Nothing is connected before the first call, and a server may come and go: calls that can be repeated without harm
    are tried again for a few seconds, streams are resumed. All that one call of a method sends bears one
    `x-request-id`, which the servers log and `LookalikeError.request_id` tells.

    Args:
        embedder: the embedder's address, any gRPC target: all addresses it resolves to are used in turn.
        searcher: the searcher's address.
        timeout: seconds until a call gives up, and the most that a stream may owe an answer.
        embed_streams: over how many streams a run of `index` spreads its images, and so over how many embedders at
            most; a small run opens fewer.
    """

    def __init__(
        self,
        embedder: str = DEFAULT_EMBEDDER,
        searcher: str = DEFAULT_SEARCHER,
        *,
        timeout: float = 30.0,
        embed_streams: int = DEFAULT_EMBED_STREAMS,
    ) -> None:
        if embed_streams < 1:
            raise ValueError(f"embed_streams must be at least 1, got {embed_streams}")
        self._servers = Servers(embedder, searcher, timeout)
        self._timeout = timeout
        self._embed_streams = embed_streams

    @classmethod
    def from_env(cls, *, timeout: float = 30.0, embed_streams: int = DEFAULT_EMBED_STREAMS) -> Self:
        """A client for the servers that LOOKALIKE_EMBEDDER and LOOKALIKE_SEARCHER name, or those on this machine."""
        return cls(
            os.environ.get("LOOKALIKE_EMBEDDER") or DEFAULT_EMBEDDER,
            os.environ.get("LOOKALIKE_SEARCHER") or DEFAULT_SEARCHER,
            timeout=timeout,
            embed_streams=embed_streams,
        )

    async def __aenter__(self) -> Self:
        """Nothing happens yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; what is in flight is cancelled."""
        await self._servers.close()

    async def model(self) -> Model:
        """The embedder's model: its space, limits and precision."""
        return await self._model(new_request_id())

    async def embed(self, image: bytes | Path) -> Embedding:
        """The vector of one image.

        Raises:
            InvalidRequestError: the image is not one that the embedder accepts; `reason` says why.
            OverloadedError: the embedder's queue is full.
        """
        return convert.embedding(await self._embed(await asyncio.to_thread(photo.read, image), new_request_id()))

    async def create_project(self, name: str, *, space: str | None = None) -> Project:
        """Create a project.

        Args:
            name: 1 to 63 lower-case letters, digits, `-` or `_`, beginning with a letter or digit.
            space: the embedding space of its vectors; the embedder's own if it is left out.

        Raises:
            AlreadyExistsError: there is one of that name.
            InvalidRequestError: the name or the space breaks a rule.
        """
        request_id = new_request_id()
        space = space or (await self._model(request_id)).space
        request = searcher_pb2.CreateProjectRequest(name=name, space=space)
        response = await self._servers.ask(SEARCHER, self._servers.searcher.CreateProject, request, request_id)
        return convert.project(response.project)

    async def get_project(self, name: str) -> Project:
        """The project of that name. Raises NotFoundError."""
        return await self._get_project(name, new_request_id())

    async def list_projects(self) -> AsyncIterator[Project]:
        """Yield all projects by name, fetching page after page."""
        request_id, token = new_request_id(), ""
        while True:
            request = searcher_pb2.ListProjectsRequest(page_token=token)
            page = await self._servers.ask(SEARCHER, self._servers.searcher.ListProjects, request, request_id)
            for project in page.projects:
                yield convert.project(project)
            if not (token := page.next_page_token):
                return

    async def delete_project(self, name: str) -> None:
        """Delete a project with all its images. It cannot be undone. Raises NotFoundError."""
        request = searcher_pb2.DeleteProjectRequest(name=name)
        await self._servers.ask(SEARCHER, self._servers.searcher.DeleteProject, request, new_request_id())

    async def check_images(self, project: str, sha256s: Sequence[bytes]) -> set[bytes]:
        """Those of the image files with these hashes (32 bytes each, at most 10,000) that the project holds."""
        return await self._check_images(project, sha256s, new_request_id())

    async def index(self, project: str, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Outcome, None]:
        """Embed and store items of any number; yield an outcome for each as it is acknowledged, in no set order.

        What the project holds already, by content, is not embedded again; a run that was interrupted can simply be
        repeated. A bounded number of items is in flight, and a caller who is slow to take outcomes slows the run down;
        one who stops early closes the generator (`contextlib.aclosing`). A server may be away for a minute.

        A sync iterable is advanced on the event loop, so it should not block for long. Items of one run that name the
        same reference should be alike: which of them is stored last is not set.

        Raises:
            NotFoundError: there is no such project.
            LookalikeError: a server stayed away, or failed; items without an outcome may or may not be stored.
        """
        request_id = new_request_id()
        await self._get_project(project, request_id)  # says at once what is wrong with it, or that nobody is there
        pipeline = Pipeline(
            project,
            check=lambda sha256s: patiently(lambda: self._check_images(project, sha256s, request_id)),
            open_embed=lambda: self._servers.embedder.EmbedStream(metadata=metadata(request_id)),
            open_index=lambda: self._servers.searcher.IndexImages(metadata=metadata(request_id)),
            request_id=request_id,
            embed_streams=self._embed_streams,
            timeout=self._timeout,
        )
        try:
            async with aclosing(pipeline.outcomes(items)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        except LookalikeError as error:
            error.request_id = error.request_id or request_id
            raise

    async def search(
        self,
        project: str,
        *,
        image: bytes | Path | None = None,
        sha256: str | None = None,
        embedding: Embedding | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> SearchResult:
        """The project's images most similar to one of: an image, an image of the project, a vector.

        Args:
            project: where to search.
            image: the bytes of an image file, or the path of one.
            sha256: the hash, in hexadecimal, of an image that the project holds.
            embedding: a vector of the project's space.
            limit: the most hits, 1 to 1,000.

        Raises:
            NotFoundError: there is no such project, or no such image in it.
            InvalidRequestError: the image is not accepted, or the limit is out of range.
            PreconditionError: the vector is of another space than the project's.
            ValueError: not exactly one of image, sha256 and embedding was given.
        """
        if sum(query is not None for query in (image, sha256, embedding)) != 1:
            raise ValueError("search takes exactly one of image, sha256 and embedding")
        started, request_id = time.perf_counter(), new_request_id()
        message = None
        if image is not None:
            data = await asyncio.to_thread(photo.read, image)
            sha256, message = hashlib.sha256(data).hexdigest(), await self._embed(data, request_id)
        elif embedding is not None:
            message = convert.embedding_message(embedding)
        embedded = time.perf_counter()
        request = convert.search_request(project, message, sha256, limit)
        response = await self._servers.ask(SEARCHER, self._servers.searcher.Search, request, request_id)
        return SearchResult(
            hits=tuple(convert.hit(hit) for hit in response.hits),
            mode=convert.mode(response.mode),
            images_ranked=response.images_ranked,
            embed_seconds=embedded - started if image is not None else 0.0,
            search_seconds=time.perf_counter() - embedded,
        )

    async def _model(self, request_id: str) -> Model:
        request = embedder_pb2.GetModelRequest()
        return convert.model(await self._servers.ask(EMBEDDER, self._servers.embedder.GetModel, request, request_id))

    async def _embed(self, data: bytes, request_id: str) -> common.Embedding:
        request = embedder_pb2.EmbedRequest(image=data)
        response = await self._servers.ask(EMBEDDER, self._servers.embedder.Embed, request, request_id)
        return response.embedding

    async def _get_project(self, name: str, request_id: str) -> Project:
        request = searcher_pb2.GetProjectRequest(name=name)
        response = await self._servers.ask(SEARCHER, self._servers.searcher.GetProject, request, request_id)
        return convert.project(response.project)

    async def _check_images(self, project: str, sha256s: Sequence[bytes], request_id: str) -> set[bytes]:
        request = searcher_pb2.CheckImagesRequest(project=project, sha256s=sha256s)
        response = await self._servers.ask(SEARCHER, self._servers.searcher.CheckImages, request, request_id)
        return set(response.stored_sha256s)
