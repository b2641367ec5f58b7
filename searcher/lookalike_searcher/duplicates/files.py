"""Find files that are used in several places, byte for byte the same: no vectors are compared."""

from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from lookalike_searcher.duplicates.scope import Scope
from lookalike_searcher.projects.space_reader import SpaceReader

_AT_ONCE: Final = 10_000
"""So many images are examined at a time."""


class Block(NamedTuple):
    """A block has some images in order of their ids, and those among them that are meant and used in several places."""

    ids: list[int]
    used: list[int]
    image_count: int
    is_last: bool


async def blocks(source: SpaceReader, scope: Scope, after: int) -> AsyncGenerator[Block, None]:
    """Yield all images after an id, block by block. Raises NotFound."""
    is_last = False
    while not is_last:
        async with source.reading() as (connection, project, _):
            ids, _ = await scope.seeds(connection, project.id, after, _AT_ONCE)
            used = await scope.used(connection, project.id, ids[0], ids[-1]) if ids else []
        is_last = len(ids) < _AT_ONCE
        yield Block(ids, used, project.image_count, is_last)
        after = ids[-1] if ids else after
