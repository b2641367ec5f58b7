"""Everything that callers do to a project, at once, each by calls of its own; and what each of them must see."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Final, TypeAlias

import grpc

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.history import Deed, History, Key
from tests.indexer import INDEXED, sha256, vector
from tests.refused_stream import STATUS_LOST

SPACE: Final = "traffic"
_PRODUCTS: Final = ("", "p", "q", "r")
KEYS: Final[list[Key]] = [(f"moving/{number}", product) for number in range(12) for product in _PRODUCTS]
IMAGES: Final = 40
"""Images that come and go: few, so that callers meet."""
STANDING: Final[dict[Key, int]] = {(f"standing/{image}", "s"): image for image in range(1000, 1030)}
"""References that nobody touches, with their images: every answer must have them."""
_IMAGES: Final = {sha256(image): image for image in [*range(IMAGES), *STANDING.values()]}
_PAGE: Final = 7
_GONE: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""How calls end whose server goes away. Those that it had received and not begun when it stopped are reset by gRPC, and
the caller, who did not cancel them, sees CANCELLED; our client repeats them, see `is_transient`."""


@cache
def embedding(image: int) -> common.Embedding:
    """The image's vector, which is not to be changed."""
    return common.Embedding(space=SPACE, values=vector(image))


def entry(key: Key, image: int, *, embedded: bool = True) -> wire.ImageEntry:
    """The image with one reference."""
    uri, product = key
    made = wire.ImageEntry(sha256=sha256(image), reference=wire.Reference(uri=uri, product=product))
    if embedded:
        made.embedding.CopyFrom(embedding(image))
    return made


Call: TypeAlias = "grpc.aio.StreamStreamCall[wire.IndexImagesRequest, wire.IndexImagesResponse]"


class Traffic:
    """Callers of one project.

    Args:
        project: its name.
        seed: decides what they do.
        sharded: whether the database is Citus, where what is counted may be a little older than what is ranked.
    """

    def __init__(self, project: str, seed: int, *, sharded: bool = False) -> None:
        self.project = project
        self._sharded = sharded
        self.history = History()
        self._random = random.Random(seed)  # noqa: S311 - no secret

    async def create(self, stub: SearcherServiceStub) -> None:
        """Create the project, with the images that stay."""
        await stub.CreateProject(wire.CreateProjectRequest(name=self.project, space=SPACE))
        request = wire.IndexImagesRequest(project=self.project, entries=[entry(*item) for item in STANDING.items()])
        call = stub.IndexImages()
        await call.write(request)
        await call.done_writing()
        assert [answer.sequence async for answer in call] == [0]

    async def flow(self, stub: SearcherServiceStub, end: float = math.inf) -> None:
        """Let all callers repeat what they do until the end, in monotonic seconds. Raises what any of them meets."""
        calls = (self._sync, self._delete, self._search, self._page, self._list, self._fill)

        async def repeat(act: Callable[[SearcherServiceStub], Awaitable[None]]) -> None:
            while time.monotonic() < end:
                await act(stub)

        async with asyncio.TaskGroup() as group:
            for act in (*[self._write] * 3, *calls):
                group.create_task(repeat(act))

    async def check(self, stub: SearcherServiceStub) -> None:
        """Assert that the project, now that nobody writes, shows what the callers can have left."""
        shown = await self._shown(stub)
        assert {key: image for key, image in shown.items() if key in STANDING} == STANDING
        self.history.check({key: image for key, image in shown.items() if key not in STANDING})

    async def _write(self, stub: SearcherServiceStub) -> None:
        """A stream of one to three bursts of requests; of a burst, all are under way at once."""
        call = stub.IndexImages()
        for left in reversed(range(self._random.choice((1, 1, 3)))):
            burst = [await self._sent(call) for _ in range(self._random.randint(1, 4))]
            if not left:
                await call.done_writing()  # those before may wait for more to come
            for deed, request in burst:
                self._noted(deed, request, await call.read())
        assert await call.read() is grpc.aio.EOF

    async def _sent(self, call: Call) -> tuple[Deed, wire.IndexImagesRequest]:
        """A request with one to eight references, some without the vector."""
        wanted = self._wanted(KEYS, 8)
        entries = [entry(*item, embedded=self._random.random() < 0.9) for item in wanted.items()]
        request = wire.IndexImagesRequest(project=self.project, entries=entries)
        deed = self.history.begin(wanted, stream=call)
        await call.write(request)
        return deed, request

    def _noted(self, deed: Deed, request: wire.IndexImagesRequest, answer: wire.IndexImagesResponse) -> None:
        for sent, result in zip(request.entries, answer.entries.results, strict=True):
            if result.HasField("error"):
                assert (result.error.reason, sent.HasField("embedding")) == ("EMBEDDING_NEEDED", False)
                del deed.shows[sent.reference.uri, sent.reference.product]
        self.history.acknowledge(deed)

    def _wanted(self, keys: Sequence[Key], most: int) -> dict[Key, int]:
        chosen = self._random.sample(keys, self._random.randint(1, most))
        return {key: self._random.randrange(IMAGES) for key in chosen}

    async def _sync(self, stub: SearcherServiceStub) -> None:
        product = self._random.choice(_PRODUCTS[1:])
        wanted = self._wanted([key for key in KEYS if key[1] == product], 5)
        deed = self.history.begin(wanted, deletes=lambda key: key[1] == product)
        entries = [entry(*item) for item in wanted.items()]
        await stub.SyncProduct(wire.SyncProductRequest(project=self.project, product=product, entries=entries))
        self.history.acknowledge(deed)

    async def _delete(self, stub: SearcherServiceStub) -> None:
        request = wire.DeleteImagesRequest(project=self.project)
        uri, product = self._random.choice(KEYS)
        images = self._random.sample(range(IMAGES), 2)
        match self._random.randrange(3):
            case 0:
                request.uris.append(uri)
                deed = self.history.begin(deletes=lambda key: key[0] == uri)
            case 1 if product:
                request.products.append(product)
                deed = self.history.begin(deletes=lambda key: key[1] == product)
            case _:
                request.sha256s.extend(map(sha256, images))
                deed = self.history.begin(deletes_images=images)
        await stub.DeleteImages(request)
        self.history.acknowledge(deed)

    async def _search(self, stub: SearcherServiceStub) -> None:
        """All hits at once: each once, and none without a reference, in order."""
        request = wire.SearchRequest(project=self.project, embedding=embedding(self._random.randrange(IMAGES)))
        request.limit, request.exact = 1000, True
        answer = await stub.Search(request)
        hits = [_IMAGES[hit.sha256] for hit in answer.hits]
        assert len(set(hits)) == len(hits)
        assert self._sharded or len(hits) == answer.images_ranked
        assert set(STANDING.values()) <= set(hits)
        similarities = [hit.similarity for hit in answer.hits]
        assert similarities == sorted(similarities, reverse=True)
        for hit in answer.hits:
            assert hit.reference_count == len(hit.references) > 0

    async def _page(self, stub: SearcherServiceStub) -> None:
        """The same page by page: each of the images that stay comes once, whatever happens to the others."""
        request = wire.SearchRequest(project=self.project, embedding=embedding(self._random.randrange(IMAGES)))
        request.limit = _PAGE
        hits: list[wire.Hit] = []
        while True:
            answer = await stub.Search(request)
            hits += answer.hits
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        similarities = [hit.similarity for hit in hits]
        assert similarities == sorted(similarities, reverse=True)
        standing = [_IMAGES[hit.sha256] for hit in hits if hit.sha256 in map(sha256, STANDING.values())]
        assert sorted(standing) == sorted(STANDING.values())

    async def _list(self, stub: SearcherServiceStub) -> None:
        """As do callers who list, look up and count."""
        shown = await self._shown(stub)
        assert STANDING.items() <= shown.items()
        stored = await stub.CheckImages(wire.CheckImagesRequest(project=self.project, sha256s=list(_IMAGES)))
        assert set(STANDING.values()) <= {_IMAGES[one] for one in stored.stored_sha256s}
        key, image = self._random.choice(list(STANDING.items()))
        found = await stub.GetImage(wire.GetImageRequest(project=self.project, uri=key[0]))
        assert _IMAGES[found.image.sha256] == image
        project = (await stub.GetProject(wire.GetProjectRequest(name=self.project))).project
        assert project.image_count >= len(STANDING)

    async def _fill(self, stub: SearcherServiceStub) -> None:
        """A space of the caller's own, filled with a few images, asked, and dropped."""
        space = f"{SPACE}-{self._random.getrandbits(32)}"
        images = self._random.sample(list(STANDING.items()), 3)
        entries = [entry(*item) for item in images]
        for one in entries:
            one.embedding.space = space
        await stub.CreateSpace(wire.CreateSpaceRequest(project=self.project, space=space))
        call = stub.IndexImages()
        await call.write(wire.IndexImagesRequest(project=self.project, entries=entries))
        await call.done_writing()
        assert [result.indexed.status for result in (await call.read()).entries.results] == [INDEXED] * 3
        asked = wire.SearchRequest(project=self.project, space=space, embedding=entries[0].embedding)
        hits = [hit.sha256 for hit in (await stub.Search(asked)).hits]
        assert hits[0] == entries[0].sha256
        assert set(hits) == {one.sha256 for one in entries}
        await stub.DeleteSpace(wire.DeleteSpaceRequest(project=self.project, space=space))

    async def _shown(self, stub: SearcherServiceStub) -> Mapping[Key, int]:
        """What references show, page by page. While others write, those that move may be seen in two places."""
        request = wire.ListImagesRequest(project=self.project, page_size=_PAGE)
        shown: dict[Key, int] = {}
        while True:
            answer = await stub.ListImages(request)
            for image in answer.images:
                assert image.reference_count == len(image.references) > 0
                shown |= {(one.uri, one.product): _IMAGES[image.sha256] for one in image.references}
            if not answer.next_page_token:
                return shown
            request.page_token = answer.next_page_token


async def unavailable(flow: Awaitable[None]) -> None:
    """Await what is expected to end in calls that fail as the searcher, or its database, goes away."""
    try:
        await flow
    except* grpc.aio.AioRpcError as errors:
        for error in errors.exceptions:
            assert isinstance(error, grpc.aio.AioRpcError)
            assert error.details() == STATUS_LOST or error.code() in _GONE, error
