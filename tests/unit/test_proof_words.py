"""What was done to a photo, in words: what is within the keypoints' error is not said."""

from dataclasses import replace

import pytest

from lookalike import Point, Proof, Region
from lookalike.proofs.words import words

CORNERS = (Point(0, 0),) * 4
NOTHING = Proof(
    confidence=1,
    overlap=1,
    of_query=1,
    of_image=1,
    mirrored=False,
    turned=1.5,
    stretched=1.02,
    corners_in_query=CORNERS,
    corners_in_image=CORNERS,
    recoloured=3,
    covered=None,
    inliers=40,
    bordered=False,
    cropped=False,
)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "recompressed or resized"),
        ({"mirrored": True, "cropped": True, "of_image": 0.81}, "mirrored, cropped to 81%"),
        ({"turned": -89.6}, "turned by 90° anticlockwise"),
        (
            {"bordered": True, "of_query": 0.5, "turned": 12.0},
            "turned by 12° clockwise, framed or pasted: it is 50%",
        ),
        ({"stretched": 1.25, "recoloured": 12.2}, "stretched by 25%, recoloured by 12"),
        ({"covered": Region(0.7, 0.7, 1, 1)}, "covered at the bottom right"),
        ({"covered": Region(0.4, 0, 0.6, 0.2)}, "covered at the top"),
        ({"covered": Region(0.3, 0.3, 0.7, 0.7)}, "covered in the middle"),
    ],
)
def test_what_was_done_is_said(changed: dict[str, object], said: str) -> None:
    assert words(replace(NOTHING, **changed)).startswith(said)
