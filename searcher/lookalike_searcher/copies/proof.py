"""Say what two fingerprints prove: whether one picture is a copy of the other, and what was done to it."""

import enum
from dataclasses import dataclass, replace
from typing import Final, Self

Corners = tuple[tuple[float, float], ...]
"""The corners of one picture in the other, from the upper left one clockwise, in shares of that picture's sides.

Corners that were cropped away lie outside, below 0 or above 1."""
Region = tuple[float, float, float, float]
"""Left, top, right and bottom, in shares of a picture's sides."""

_WHOLE: Final = 0.97
"""A picture of which so much is seen is whole: keypoints are as exact as that."""


class Kind(enum.Enum):
    """The kind says what two pictures are to one another."""

    NEAR_DUPLICATE = "near_duplicate"
    """They are the same photo, and one is a copy of the other or both of a third."""
    RECOLOURED = "recoloured"
    """They are the same photo in other colours: a colour variant made of it, or a retouched copy."""
    SIMILAR = "similar"
    """They are not shown to be the same photo."""
    TOO_LITTLE = "too_little"
    """There is too little to be seen in one of them to tell."""


@dataclass(frozen=True)
class Proof:
    """A proof says what was done to the image so that it became the query's picture.

    Attributes:
        kind: what the two are to one another. If it is SIMILAR or TOO_LITTLE, nothing below is told.
        confidence: how likely it is that they are the same photo, in [0, 1].
        inliers: how many keypoints lie where they should.
        of_query: the share of the query that shows the image. Less than all: a border, or what it was pasted into.
        of_image: the share of the image that the query shows. Less than all: a crop.
        mirrored: whether the image was mirrored, before it was turned.
        turned: by how many degrees, clockwise, from -180 to 180.
        stretched: how much longer one direction became than the other: 1 is not at all.
        corners_in_query: where the image's corners lie in the query.
        corners_in_image: where the query's corners lie in the image.
        recoloured: the mean distance of the colours, in a and b of CIELAB; up to 3 by compression alone.
        covered: the largest region of the query that shows something else than the image, if there is one.
        covered_in_image: where that lies in the image.
        inverse_shares: `of_query` and `of_image` of the inverse.
    """

    kind: Kind
    confidence: float = 0.0
    inliers: int = 0
    of_query: float = 0.0
    of_image: float = 0.0
    mirrored: bool = False
    turned: float = 0.0
    stretched: float = 1.0
    corners_in_query: Corners = ()
    corners_in_image: Corners = ()
    recoloured: float = 0.0
    covered: Region | None = None
    covered_in_image: Region | None = None
    inverse_shares: tuple[float, float] = (0.0, 0.0)

    @property
    def is_copy(self) -> bool:
        """Return whether both are the same photo, in whatever colours."""
        return self.kind in (Kind.NEAR_DUPLICATE, Kind.RECOLOURED)

    @property
    def overlap(self) -> float:
        """Return the share that both show, of the one that shows less."""
        return max(self.of_query, self.of_image)

    @property
    def bordered(self) -> bool:
        """Return whether the query shows more than the image: a border, or what the image was pasted into."""
        return self.is_copy and self.of_query < _WHOLE

    @property
    def cropped(self) -> bool:
        """Return whether the query shows less than the image."""
        return self.is_copy and self.of_image < _WHOLE

    @property
    def inverse(self) -> Self:
        """Return what was done to the query so that it became the image's picture.

        What is mirrored and then turned comes back when it is mirrored and turned by as much.
        """
        of_query, of_image = self.inverse_shares
        return replace(
            self,
            of_query=of_query,
            of_image=of_image,
            turned=self.turned if self.mirrored else -self.turned,
            corners_in_query=self.corners_in_image,
            corners_in_image=self.corners_in_query,
            covered=self.covered_in_image,
            covered_in_image=self.covered,
            inverse_shares=(self.of_query, self.of_image),
        )


SIMILAR: Final = Proof(Kind.SIMILAR)
TOO_LITTLE: Final = Proof(Kind.TOO_LITTLE)
