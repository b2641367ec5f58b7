"""Tell another shot from a copy: each shows what lies beyond the edge of the other.

Who crops a photo shows less of it, and who frames or pastes it shows all of it. Only who stood there with a camera
shows less on one side and more on the other. Two shots from one place, the camera turned a little, agree in every
detail where both are, so that nothing else tells them from a copy in perspective.
"""

from typing import Final

import numpy as np

from lookalike_searcher.copies import alignment
from lookalike_searcher.copies.alignment import Alignment
from lookalike_searcher.copies.overlay import PlaceOf, Seen

_BEYOND: Final = 0.015
"""From this share of its detail on, which lies beyond the edge of the other, a picture goes on there."""
_MARGIN: Final = 4.0
"""So far beyond, in pixels: nearer, the edge itself is seen, and an alignment is not exact."""


def goes_on(one: Seen, other: Seen, found: Alignment) -> bool:
    """Return whether both pictures go on beyond the edge of the other."""
    scale = alignment.scale(found.affine)  # of one picture, the margin is as many pixels as of the other, or more
    return (
        _beyond(one, other, found.to_other, _MARGIN * max(1, 1 / scale)) >= _BEYOND
        and _beyond(other, one, found.to_one, _MARGIN * max(1, scale)) >= _BEYOND
    )


def _beyond(picture: Seen, other: Seen, place_of: PlaceOf, margin: float) -> float:
    """Return the share of a picture's detail that lies beyond the edge of the other."""
    size_of_block = np.array(picture.whole.shape[::-1]) / picture.detail.shape[::-1]
    rows, columns = np.indices(picture.detail.shape)
    places = place_of((np.stack((columns.ravel(), rows.ravel()), axis=1) + 0.5) * size_of_block)
    size = np.array(other.whole.shape[::-1])
    beside, above_or_below = ((places < -margin) | (places > size + margin)).T  # `any(axis=1)` takes ten times as long
    outside = beside | above_or_below
    return float(picture.detail.ravel()[outside].sum() / max(picture.detail.sum(), 1.0))
