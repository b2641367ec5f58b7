"""Say which pairs of images are meant: by a filter, between two sides, across products, newer than a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np

from lookalike_searcher.database.statement import Connection, fragment, statement
from lookalike_searcher.duplicates.neighbours import Pairs
from lookalike_searcher.images.filter import Filter


class Conditions(NamedTuple):
    """The conditions on an image are SQL: whether it is of the one side, of the other, and new; with arguments."""

    one: str
    other: str
    newer: str
    arguments: list[object]


@dataclass(frozen=True)
class Scope:
    """The scope says which pairs are meant.

    Attributes:
        filter: the one image passes this.
        other: the other image passes this; None: it passes `filter`, too.
        rest: whether the other image does not pass `filter`.
        across_products: whether both must show products, and together more than one.
        newer_than: one of the images was first indexed then or later.
    """

    filter: Filter = field(default_factory=Filter)
    other: Filter | None = None
    rest: bool = False
    across_products: bool = False
    newer_than: datetime | None = None

    @property
    def is_all(self) -> bool:
        """Return whether every pair is meant."""
        return self == Scope()

    @property
    def is_symmetric(self) -> bool:
        """Return whether the images that are looked at are all that pairs are made of."""
        return self.other is None and not self.rest and self.newer_than is None

    async def seeds(
        self, connection: Connection, project_id: int, after: int, size: int
    ) -> tuple[list[int], list[int]]:
        """Return the next images after an id, and the seeds among them: each pair that is meant has one at least."""
        seed, arguments = self._of_reference(self.filter, 3)
        if self.newer_than:
            one, other, newer, arguments = self._conditions(3)
            seed = f"{newer} AND (({one}) OR ({other}))"
        rows = await connection.fetch(statement("duplicate_block", project_id, seed=seed), after, size, *arguments)
        return [row["id"] for row in rows], [row["id"] for row in rows if row["seed"]]

    async def used(self, connection: Connection, project_id: int, first: int, last: int) -> list[int]:
        """Return those of the images from `first` to `last` that are meant, and used in several places."""
        one, arguments = self.filter.conditions("reference", 3)
        other = f"NOT ({one})" if self.rest else one
        if self.other:
            other, further = self.other.conditions("reference", 3 + len(arguments))
            arguments += further
        newer = "true"
        if self.newer_than:
            arguments.append(self.newer_than)
            newer = f"create_time >= ${2 + len(arguments)}::timestamptz"
        products = "count(DISTINCT product) FILTER (WHERE product <> '') > 1" if self.across_products else "true"
        sql = statement("duplicate_used", project_id, one=one, other=other, newer=newer, products=products)
        return sorted(row["image_id"] for row in await connection.fetch(sql, first, last, *arguments))

    async def chosen(self, connection: Connection, project_id: int, pairs: Pairs) -> Pairs:
        """Return those of the pairs that are meant."""
        if self.is_all or not len(pairs):
            return pairs
        conditions = self._conditions(2)
        products = fragment("duplicate_products") if self.across_products else "NULL"
        sql = statement(
            "duplicate_scope",
            project_id,
            one=conditions.one,
            other=conditions.other,
            newer=conditions.newer,
            products=products,
        )
        ids = np.unique(np.concatenate((pairs.ones, pairs.others)))
        rows = await connection.fetch(sql, ids.tolist(), *conditions.arguments)
        known = {row["id"]: row for row in rows}
        flags = np.array([known[i][1:4] if i in known else (False,) * 3 for i in ids.tolist()], np.bool_)
        ones, others = flags[np.searchsorted(ids, pairs.ones)], flags[np.searchsorted(ids, pairs.others)]
        meant = (ones[:, 0] & others[:, 1] | ones[:, 1] & others[:, 0]) & (ones[:, 2] | others[:, 2])
        pairs = pairs[meant]
        if self.across_products:
            shown = {image: set(row["products"]) for image, row in known.items()}
            pairs = pairs[np.array(_across(shown, pairs), np.bool_)]
        return pairs

    def _conditions(self, first: int) -> Conditions:
        """Return the conditions on an image; `first` is the number of their first parameter."""
        one, arguments = self._of_reference(self.filter, first)
        other = f"NOT ({one})" if self.rest else one
        if self.other:
            other, further = self._of_reference(self.other, first + len(arguments))
            arguments = [*arguments, *further]
        if not self.newer_than:
            return Conditions(one, other, "true", arguments)
        newer = f"image.create_time >= ${first + len(arguments)}::timestamptz"
        return Conditions(one, other, newer, [*arguments, self.newer_than])

    @staticmethod
    def _of_reference(chosen: Filter, first: int) -> tuple[str, list[object]]:
        if not chosen:
            return "true", []
        condition, arguments = chosen.conditions("reference", first)
        return fragment("duplicate_matching").replace("{filter}", condition), arguments


def _across(shown: dict[int, set[str]], pairs: Pairs) -> Sequence[bool]:
    """Return for each pair whether both images show products, and together more than one."""
    return [
        bool(shown[one]) and bool(shown[other]) and len(shown[one] | shown[other]) > 1
        for one, other in zip(pairs.ones.tolist(), pairs.others.tolist(), strict=True)
    ]
