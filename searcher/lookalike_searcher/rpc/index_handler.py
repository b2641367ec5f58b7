"""Handle IndexImages: gather a stream's images into transactions, parse, store, acknowledge."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final

from lookalike._concurrency.batches import batched, prefetched
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images import writing
from lookalike_searcher.images.image import Entry
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.rpc import parse, respond
from lookalike_serving.errors import DomainError
from lookalike_serving.security import audit

_MAX_TRANSACTION: Final = 1024
"""A transaction stores so many images, or a few more. More would gain little and delay acknowledgements."""
_FIRST_TRANSACTION: Final = 128
"""The first one of a stream stores so many: by it is known how long they take."""
_TRANSACTION_SECONDS: Final = 1.0
"""Where images take long, fewer are stored at once: beside more searches than can be answered, 1,024 took nine seconds,
in which nothing was acknowledged."""
_PARSED_AT_ONCE: Final = 32
"""So many entries are parsed without a pause, in 1 ms."""
_LINGER_SECONDS: Final = 0.2
"""A transaction waits so long for more images of its stream. To commit one image costs nearly as much as a hundred."""


class Indexing:
    """The handler stores streams of images, some of them in each transaction.

    Args:
        config: the limit of a project's images.
        database: the database of the projects.
        metrics: counts images.
    """

    def __init__(self, config: Config, database: Database, metrics: Metrics) -> None:
        self._config, self._database, self._metrics = config, database, metrics

    async def answers(
        self, requests: AsyncGenerator[wire.IndexImagesRequest, None]
    ) -> AsyncGenerator[wire.IndexImagesResponse, None]:
        """Yield the answers to a stream's requests, in their order, after their images are committed."""
        batches = batched(requests, _MAX_TRANSACTION, linger=_LINGER_SECONDS, weight=_images)
        async with aclosing(
            prefetched(_parsed(batches))
        ) as transactions:  # parsed while PostgreSQL stores the last one
            limit = _FIRST_TRANSACTION
            async for project_name, batch, parsed in transactions:
                waiting, entries = deque(batch), iter(parsed)
                while waiting:
                    requests_of_one = list(_first(waiting, limit))
                    images = list(islice(entries, sum(map(_images, requests_of_one))))
                    began = time.monotonic()
                    responses = await self._store(project_name, requests_of_one, images)
                    limit = _fitting(len(images), time.monotonic() - began)
                    for response in responses:
                        yield response

    async def _store(
        self, project_name: str, batch: Sequence[wire.IndexImagesRequest], parsed: Sequence[Entry | InvalidField]
    ) -> list[wire.IndexImagesResponse]:
        """Store the valid entries of the batch in one transaction. Returns the answers to all its requests."""
        valid = [item for item in parsed if isinstance(item, Entry)]
        stored = iter(await writing.store(self._database, project_name, valid, self._config.max_images))
        outcomes = [next(stored) if isinstance(item, Entry) else item for item in parsed]
        self.note(outcomes)
        results = map(respond.indexed, outcomes)
        return [respond.acknowledged(request, results) for request in batch]

    def note(self, outcomes: Iterable[bool | DomainError]) -> None:
        """Count images that were written or refused, in the metrics and for the audit log."""
        audit.count(**Counter(map(self._metrics.outcome, outcomes)))


async def _parsed(
    batches: AsyncGenerator[list[wire.IndexImagesRequest], None],
) -> AsyncGenerator[tuple[str, list[wire.IndexImagesRequest], list[Entry | InvalidField]], None]:
    """Yield the name of the stream's project, and each batch with its parsed entries."""
    project_name = ""
    async with aclosing(batches):
        async for batch in batches:
            project_name = parse.one_project(project_name, batch)
            messages = [message for request in batch for message in request.entries or [request]]
            parsed: list[Entry | InvalidField] = []
            for start in range(0, len(messages), _PARSED_AT_ONCE):
                parsed += parse.entries(messages[start : start + _PARSED_AT_ONCE])
                await asyncio.sleep(0)  # so that the current transaction can go on
            yield project_name, batch, parsed


def _first(waiting: deque[wire.IndexImagesRequest], images: int) -> Iterator[wire.IndexImagesRequest]:
    """Take the first requests out: one at least, and as many as have so many images."""
    while waiting and images > 0:
        images -= _images(waiting[0])
        yield waiting.popleft()


def _fitting(images: int, seconds: float) -> int:
    """Return how many images the next transaction stores, if so many took so long."""
    return min(_MAX_TRANSACTION, max(1, int(images * _TRANSACTION_SECONDS / max(seconds, 1e-6))))


def _images(request: wire.IndexImagesRequest) -> int:
    """Return how many images a request has."""
    return len(request.entries) or 1
