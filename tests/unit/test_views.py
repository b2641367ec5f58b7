"""Views of a picture: turned, its middle and its quarters, as large as the picture."""

import numpy as np
from PIL import Image

from lookalike_embedder import views
from tests.pictures import shipped

SIDE = 224
CAT = shipped("chelsea.png").resize((SIDE, SIDE))


def is_shown(picture: Image.Image, among: list[np.ndarray]) -> bool:
    """Whether a view is this picture, but for how sharp it is."""
    small = [np.asarray(one.resize((56, 56)), np.float32) for one in (picture, *map(Image.fromarray, among))]
    return any(np.abs(small[0] - view).mean() < 4 for view in small[1:])


def test_what_was_turned_is_shown_upright() -> None:
    for way in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270):
        assert is_shown(CAT, views.of(np.asarray(CAT.transpose(way))))


def test_what_was_framed_or_put_beside_others_is_shown_alone() -> None:
    framed = Image.new("RGB", (round(1.3 * SIDE),) * 2, "white")
    framed.paste(CAT, (round(0.15 * SIDE),) * 2)
    middle = CAT.crop(tuple(round(share * SIDE) for share in (0.11, 0.11, 0.89, 0.89)))
    assert is_shown(middle, views.of(np.asarray(framed.resize((SIDE, SIDE)))))
    for place in ((0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE)):
        collage = Image.effect_noise((2 * SIDE, 2 * SIDE), 60).convert("RGB")
        collage.paste(CAT, place)
        found = views.of(np.asarray(collage.resize((SIDE, SIDE))))
        assert is_shown(CAT, found)
        assert {view.shape for view in found} == {(SIDE, SIDE, 3)}


def test_a_view_that_shows_one_colour_is_none() -> None:
    corner = Image.new("RGB", (SIDE, SIDE), "navy")
    corner.paste(CAT.resize((60, 60)), (20, 20))
    found = views.of(np.asarray(corner))
    assert len(found) == len(views.of(np.asarray(CAT))) - 3
    assert views.of(np.asarray(Image.new("RGB", (SIDE, SIDE), "teal"))) == []
