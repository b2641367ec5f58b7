"""Read and check what is to be indexed before anything is sent."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Final, TypeVar

import grpc

from lookalike._concurrency.batches import batched
from lookalike._operations import encode, photo
from lookalike.constants import MESSAGE_OVERHEAD_BYTES
from lookalike.errors import InvalidRequestError
from lookalike.records import Item
from lookalike.v1 import searcher_pb2 as wire

T = TypeVar("T")

_SOON_SECONDS: Final = 0.02
_MAX_REFERENCE_BYTES: Final = MESSAGE_OVERHEAD_BYTES // 2
"""More than a reference that keeps the searcher's rules can have, and less than a message may."""


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield the items, from wherever they come."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def batches(items: Iterable[T] | AsyncIterable[T], max_size: int) -> AsyncGenerator[list[T], None]:
    """Yield lists of at most `max_size` items: of a sync iterable, what it gives without delay."""
    if isinstance(items, AsyncIterable):
        async for batch in batched(each(items), max_size):
            yield batch
        return
    batch, began = [], time.monotonic()
    for item in items:
        batch.append(item)
        if len(batch) >= max_size or time.monotonic() - began > _SOON_SECONDS:
            yield batch
            await asyncio.sleep(0)
            batch, began = [], time.monotonic()
    if batch:
        yield batch


async def drain(queue: "asyncio.Queue[T | None]") -> AsyncGenerator[T, None]:
    """Yield what a queue holds, up to the None that ends it."""
    while (item := await queue.get()) is not None:
        yield item


def reference(item: Item) -> wire.Reference:
    """Return the message of the item's reference.

    Raises:
        InvalidRequestError: a field has a type or characters that cannot be sent, or all of it is too large.
    """
    message = encode.reference(item)
    if (size := message.ByteSize()) > _MAX_REFERENCE_BYTES:
        raise InvalidRequestError(
            f"reference: at most {_MAX_REFERENCE_BYTES} bytes can be sent, got {size}",
            reason="INVALID_FIELD",
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )
    return message


def read_and_hash(item: Item) -> tuple[bytes, bytes]:
    """Return the item's image and its SHA-256; this blocks while it reads. Raises as `photo.read`."""
    data = photo.read(item.image)
    return data, hashlib.sha256(data).digest()
