"""Find copies of a project's photos among other pictures."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import copies
from lookalike.client.base import BaseClient
from lookalike.fetch import DEFAULT_SETTINGS, Settings
from lookalike.indexing import Items
from lookalike.records import Suspect


class CopyMethods(BaseClient):
    """`Client` finds copies that somebody else made by this method."""

    async def find_copies(
        self,
        project: str,
        items: Items,
        *,
        candidates: int = 20,
        thorough: bool = True,
        fetch: Settings = DEFAULT_SETTINGS,
    ) -> AsyncGenerator[Suspect, None]:
        """Yield, for each of these pictures and in their order, which of the project's photos it is a copy of.

        Of an item only the picture counts, and the uri that names it. What is not among the nearest photos is not
        found. A server may be away for a minute. One who stops early closes the generator (`contextlib.aclosing`).

        Args:
            project: the project's name.
            items: the suspicious pictures.
            candidates: how many of the nearest photos each one is compared with, and how many copies of it are told at
                most, 1 to 100. A thorough search compares further photos.
            thorough: whether what is nearest to views of each one is compared too; see `Query`.
            fetch: how pictures are fetched.

        Raises:
            NotFoundError: there is no such project.
            PreconditionError: the embedder's space is none of the project's.
            LookalikeError: a server stayed away, or failed.
        """
        async with aclosing(
            copies.find(self._call(), project, items, fetch, candidates, thorough=thorough)
        ) as suspects:
            async for suspect in suspects:
                yield suspect
