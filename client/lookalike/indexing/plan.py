"""Say what a run would do, without doing it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lookalike._operations import source
from lookalike.errors import LookalikeError
from lookalike.fetch import Fetcher
from lookalike.fetch.local import is_local
from lookalike.indexing.calls import Calls
from lookalike.indexing.pipeline import Items
from lookalike.records import Item
from lookalike.v1 import searcher_pb2 as wire

_AT_ONCE: Final = 256


class Change(StrEnum):
    """A change is what a run would do with an item."""

    NEW = "new"
    """The project has no such reference: the image would be fetched."""
    CHANGED = "changed"
    """The image, as far as can be told without reading it, or the labels are not those that the project has."""
    UNCHANGED = "unchanged"
    """Nothing would be done with it."""
    FAILED = "failed"
    """The image cannot be fetched."""


@dataclass(frozen=True)
class Plan:
    """A plan is what a run would do with one item; `error` is set if, and only if, it would fail."""

    uri: str
    change: Change
    error: LookalikeError | None = None


async def plans(calls: Calls, fetcher: Fetcher, items: Items) -> AsyncGenerator[Plan, None]:
    """Yield a plan for each item, in their order. Raises LookalikeError."""
    async with aclosing(source.batches(items, _AT_ONCE)) as batches:
        async for batch in batches:
            for plan in await _planned(calls, fetcher, batch):
                yield plan


async def _planned(calls: Calls, fetcher: Fetcher, batch: Sequence[Item]) -> list[Plan]:
    plans: list[Plan | None] = []
    sendable: list[tuple[Item, wire.Reference]] = []
    for item in batch:
        try:
            sendable.append((item, source.reference(item)))
            plans.append(None)
        except LookalikeError as error:
            plans.append(Plan(item.uri, Change.FAILED, error))
    states = await calls.check_references([reference for _, reference in sendable])
    items_and_states = zip((item for item, _ in sendable), states, strict=True)
    planned = iter(await asyncio.gather(*(_plan(fetcher, item, state) for item, state in items_and_states)))
    return [plan or next(planned) for plan in plans]


async def _plan(fetcher: Fetcher, item: Item, state: wire.ReferenceState) -> Plan:
    if isinstance(item.image, bytes):
        return Plan(item.uri, Change.CHANGED if state.sha256 else Change.NEW)
    try:
        fetcher.check(item)
        if not state.sha256 and not is_local(item.location) and item.image is None:
            return Plan(item.uri, Change.NEW)  # nobody is asked for what would be fetched anyhow
        fetched = await fetcher.fetch(item, state.stamp if state.sha256 else "", None)
    except LookalikeError as error:
        return Plan(item.uri, Change.FAILED, error)
    if not state.sha256:
        return Plan(item.uri, Change.NEW)
    same = fetched is None and state.same_labels
    return Plan(item.uri, Change.UNCHANGED if same else Change.CHANGED)
