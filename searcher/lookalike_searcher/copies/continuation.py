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
_MARGIN: Final = 5.0
"""So far beyond, in pixels: nearer, the edge itself is seen, and an alignment is not exact."""
_EVERY: Final = 4
"""Of so many pixels of a line, one is looked at."""


def goes_on(one: Seen, other: Seen, found: Alignment) -> bool:
    """Return whether both pictures go on beyond the edge of the other."""
    scale = alignment.scale(found.affine)  # of one picture, the margin is as many pixels as of the other, or more
    return (
        _beyond(one, other, found.to_other, _MARGIN * max(1, 1 / scale)) >= _BEYOND
        and _beyond(other, one, found.to_one, _MARGIN * max(1, scale)) >= _BEYOND
    )


def _beyond(picture: Seen, other: Seen, place_of: PlaceOf, margin: float) -> float:
    """Return the share of a picture's detail that lies beyond the edge of the other."""
    detail = picture.detail[_EVERY // 2 :: _EVERY, _EVERY // 2 :: _EVERY]
    rows, columns = np.indices(detail.shape) * _EVERY + (_EVERY // 2 + 0.5)
    places = place_of(np.stack((columns.ravel(), rows.ravel()), axis=1))
    size = np.array(other.whole.shape[::-1])
    outside = ((places < -margin) | (places > size + margin)).any(axis=1)
    return float(detail.ravel()[outside].sum() / max(detail.sum(), 1.0))
