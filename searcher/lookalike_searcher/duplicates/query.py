"""Define what is asked of a search for duplicates, and where one stands."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lookalike.constants import NEAR_DUPLICATE
from lookalike_searcher.duplicates.keep_rule import KeepRule
from lookalike_searcher.duplicates.scope import Scope

VERIFIED_FROM: Final = 0.9
"""The least cosine of pairs that are verified, unless another is asked for. Of copies with crops and borders more lie
below .95 than above; look-alikes cost only time."""


class Place(NamedTuple):
    """The place is where a search for duplicates stands.

    `survey` names what the searcher knows of its pairs; `image_id` is the first image of the last cluster that was
    given, or, where only the same files are looked for, the last image examined; so many were examined.
    """

    project_id: int
    space: str
    survey: str
    image_id: int
    examined: int


PLACE_TYPES: Final = (int, str, str, int, int)
"""The types of a place's fields, to check a place that comes from a client."""


@dataclass(frozen=True)
class DuplicateQuery:
    """The query says which duplicates to find.

    Attributes:
        project_name: the name of the project.
        min_similarity: the least cosine of near duplicates; None: the threshold of each way to tell.
        same_file_only: whether to find only files that are used in several places.
        after: the place of an earlier answer, after which to go on.
        verify: whether fingerprints are compared where there are any.
        recoloured: whether the same photo in other colours is a duplicate.
        scope: which pairs are meant.
        keep: by which rule an image of each cluster is suggested to be kept.
    """

    project_name: str
    min_similarity: float | None = None
    same_file_only: bool = False
    after: Place | None = None
    verify: bool = False
    recoloured: bool = False
    scope: Scope = field(default_factory=Scope)
    keep: KeepRule = KeepRule.LARGEST

    @property
    def least(self) -> float:
        """Return the least cosine of a pair that may be a duplicate."""
        return self.min_similarity or (VERIFIED_FROM if self.verify else NEAR_DUPLICATE)

    @property
    def least_by_cosine(self) -> float:
        """Return the least cosine of a duplicate where nothing else tells."""
        return self.min_similarity or NEAR_DUPLICATE
