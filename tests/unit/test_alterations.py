"""Altered copies are what their names say, and the same every time."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.demo.copies import ALTERATIONS, make_copies
from lookalike.evaluation import alterations
from tests.pictures import encoded


def picture() -> Image.Image:
    """A gradient with a dark corner."""
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    pixels = np.stack([x * 255 // 160, y * 255 // 120, np.where((x < 20) & (y < 20), 0, 200)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def copies() -> dict[str, bytes]:
    return alterations.copies(encoded(picture(), "PNG"))


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        return np.asarray(image, np.int16)


def test_all_differ_from_one_another_and_are_the_same_every_time(copies: dict[str, bytes]) -> None:
    assert len(set(copies.values())) == len(copies) == len(alterations.ALTERATIONS) >= 20
    assert alterations.copies(encoded(picture(), "PNG")) == copies


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("resize-25", 40, 30),
        ("crop-10", 128, 96),
        ("border-6", 180, 140),
        ("screenshot", 160, 144),
        ("rotate-5", 160, 120),
        ("jpeg-30", 160, 120),
    ],
)
def test_sizes(copies: dict[str, bytes], name: str, width: int, height: int) -> None:
    assert opened(copies[name]).shape == (height, width, 3)


def test_pixels_become_what_the_names_say(copies: dict[str, bytes]) -> None:
    as_is = opened(copies["jpeg-90"])
    assert np.abs(opened(copies["mirror"])[:, ::-1] - as_is).mean() < 3
    assert opened(copies["darker"]).mean() < as_is.mean() < opened(copies["brighter"]).mean()
    assert np.abs(np.diff(opened(copies["grey"]), axis=2)).max() < 3
    assert opened(copies["contrast"]).std() > as_is.std()
    changed = np.abs(opened(copies["caption"]) - as_is).mean(axis=(1, 2))
    assert changed[:100].max() < 3 < changed[-10:].min()
    assert (np.abs(opened(copies["watermark"]) - as_is) > 20).any()


def test_a_photo_is_altered_as_people_see_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    assert alterations.upright(encoded(picture(), "JPEG", exif=exif)).size == (120, 160)


def test_the_demonstrations_copies_are_some_of_them(tmp_path: Path, copies: dict[str, bytes]) -> None:
    (tmp_path / "photo.png").write_bytes(encoded(picture(), "PNG"))
    made = make_copies(tmp_path / "photo.png", tmp_path)
    assert list(made) == list(ALTERATIONS) == ["crop", "recompress", "resize", "recolour", "mirror", "border"]
    assert made["recompress"].read_bytes() == copies["jpeg-30"]
    assert made["border"].read_bytes() == copies["border-2"]
