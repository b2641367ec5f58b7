"""Define a project as it is in the registry, with its spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from lookalike.records import TuningPolicy
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects.space import Space


@dataclass(frozen=True)
class Limits:
    """The limits say what a project may hold, and how much it may search; 0 stands for the searcher's own limit.

    Their order is that of the statements that store them.
    """

    max_images: int = 0
    max_hits: int = 0
    searches_per_second: float = 0.0
    max_batch: int = 0


class RowVersion(NamedTuple):
    """The version of a row is where it lies, and the number of the transaction that put it there."""

    place: str
    number: str


@dataclass(frozen=True)
class Project:
    """A project is a row of the registry; `spaces` and `versions` are empty in a list of projects.

    Attributes:
        versions: the versions of the project's row, and of each of its spaces' rows.
    """

    id: int
    name: str
    space: str
    image_count: int
    reference_count: int
    create_time: datetime
    update_time: datetime
    deleted_since_vacuum: int
    deleted_since_index: int
    limits: Limits
    search_disabled: bool
    fingerprints_disabled: bool
    tuning_policy: TuningPolicy
    spaces: tuple[Space, ...] = ()
    versions: tuple[RowVersion, ...] = ()

    @classmethod
    def of(
        cls, row: asyncpg.Record, spaces: tuple[Space, ...] = (), versions: tuple[RowVersion, ...] = ()
    ) -> "Project":
        """Return the project of a row of the statement `project_list`, or of `project_read`."""
        return cls(
            id=row["id"],
            name=row["name"],
            space=row["space"],
            image_count=row["image_count"],
            reference_count=row["reference_count"],
            create_time=row["create_time"],
            update_time=row["update_time"],
            deleted_since_vacuum=row["deleted_since_vacuum"],
            deleted_since_index=row["deleted_since_index"],
            limits=Limits(row["max_images"], row["max_hits"], row["searches_per_second"], row["max_batch"]),
            search_disabled=row["search_disabled"],
            fingerprints_disabled=row["fingerprints_disabled"],
            tuning_policy=TuningPolicy(row["tuning_policy"]),
            spaces=spaces,
            versions=versions,
        )

    @classmethod
    def of_rows(cls, name: str, rows: Sequence[asyncpg.Record]) -> "Project":
        """Return the project of that name with its spaces, of which `project_read` has a row each. Raises NotFound."""
        if not rows:
            raise NotFound.project(name)
        of_spaces = (RowVersion(row["space_place"], row["space_version"]) for row in rows)
        versions = (RowVersion(rows[0]["place"], rows[0]["version"]), *of_spaces)
        return cls.of(rows[0], tuple(map(Space.of, rows)), versions)

    @property
    def serving(self) -> Space:
        """Return the space that searches use by default."""
        return self.in_space("")

    def in_space(self, name: str) -> Space:
        """Return the space of that name, or by default the one that serves. Raises NotFound."""
        if space := self.find_space(name):
            return space
        raise NotFound.space(self.name, name)

    def find_space(self, name: str) -> Space | None:
        """Return the space as `in_space` does, or None if there is no such space."""
        wanted = name or self.space
        return next((space for space in self.spaces if space.name == wanted), None)

    def base(self, space: Space) -> Space:
        """Return the source of a derived space, or another space itself. Writers send vectors in this space."""
        return next((candidate for candidate in self.spaces if candidate.id == space.source_id), space)

    def derived(self, space: Space) -> list[Space]:
        """Return the spaces that are derived from this one."""
        return [candidate for candidate in self.spaces if candidate.source_id == space.id]
