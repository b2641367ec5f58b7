"""Fingerprints: small, the same each time, and checked where they come from elsewhere."""

import io
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from lookalike_serving.fingerprint import Fingerprint, making, picture, sift
from lookalike_serving.fingerprint.keypoints import MAX_KEYPOINTS, InvalidKeypoints, Keypoints
from lookalike_serving.fingerprint.picture import InvalidPicture
from tests.pictures import encoded, shipped

CAT = np.asarray(shipped("chelsea.png"))


@cache
def cat() -> Fingerprint:
    return making.make(CAT, 451, 300)


def test_a_fingerprint_is_small_and_shows_the_picture_in_its_own_aspect() -> None:
    seen = np.asarray(Image.open(io.BytesIO(cat().picture)))
    assert seen.shape == (106, 160, 3)
    assert np.abs(seen.mean(axis=(0, 1)) - CAT.mean(axis=(0, 1))).max() < 3, "red is red"
    assert picture.size(cat().picture) == (160, 106)
    assert len(cat()) <= 8192


def test_what_the_model_sees_will_do_though_it_is_squashed_to_a_square() -> None:
    squashed = np.asarray(Image.fromarray(CAT).resize((224, 224), Image.Resampling.BILINEAR))
    assert making.make(squashed, 451, 300).keypoints[:2] == cat().keypoints[:2]


def test_keypoints_are_the_same_packed_and_unpacked() -> None:
    keypoints = Keypoints.unpack(cat().keypoints)
    assert (keypoints.width, keypoints.height) == (160, 106)
    assert 50 < len(keypoints) <= MAX_KEYPOINTS
    assert keypoints.pack() == cat().keypoints
    assert (keypoints.places <= (160, 106)).all()


def test_descriptors_are_those_of_the_picture_enlarged_twice_but_for_a_few_bits() -> None:
    """So that fingerprints that are stored already, which were made there, still compare."""
    small = np.asarray(Image.fromarray(CAT).resize((160, 106)))
    ours = sift.keypoints(small)
    enlarging = cv2.SIFT.create(240, contrastThreshold=0.01, edgeThreshold=12, enable_precise_upscale=True)
    points, numbers = enlarging.detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
    theirs = np.array([(*point.pt, point.angle) for point in points])
    same = np.abs(np.column_stack((ours.places - 0.5, ours.angles * 360))[:, None] - theirs).max(axis=2).argmin(axis=1)
    bits = (numbers > np.median(numbers, axis=1, keepdims=True))[same]
    differing = (np.unpackbits(ours.bits, axis=1) != bits).sum(axis=1)
    assert np.median(differing) < 10
    assert differing.max() < 40


@pytest.mark.parametrize(("width", "height"), [(1, 1), (160, 1), (3, 4000)])
def test_a_picture_that_shows_nothing_has_no_keypoints(width: int, height: int) -> None:
    made = making.make(np.full((224, 224, 3), 200, np.uint8), width, height)
    assert len(Keypoints.unpack(made.keypoints)) == 0
    assert picture.decode(made.picture).shape[:2] == picture.size(made.picture)[::-1]


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"", "at least 3 bytes, got 0"),
        (bytes((0, 10, 0)), "got 0 x 10"),
        (bytes((161, 10, 0)), "got 161 x 10"),
        (bytes((10, 10, MAX_KEYPOINTS + 1)), "at most 180 keypoints, got 181"),
        (bytes((10, 10, 2)) + bytes(43), "47 bytes for 2 keypoints, got 46"),
        (bytes((10, 10, 1)) + (10 * 256 + 1).to_bytes(2, "little") + bytes(20), "got one outside"),
    ],
)
def test_keypoints_that_cannot_be_are_refused(packed: bytes, said: str) -> None:
    with pytest.raises(InvalidKeypoints, match=said):
        Keypoints.unpack(packed)


def webp(width: int, height: int, **options: bool) -> bytes:
    return encoded(Image.effect_noise((width, height), 50).convert("RGB"), "WEBP", **options)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "got 0 bytes of something else"),
        (encoded(Image.new("RGB", (8, 8)), "PNG"), "of something else"),
        (webp(8, 8, lossless=True), "of something else"),
        (webp(161, 8), "1 to 160 pixels a side, got 161 x 8"),
        (webp(300, 300), "at most 24576 bytes"),
    ],
)
def test_only_a_small_lossy_webp_is_a_picture(file: bytes, said: str) -> None:
    with pytest.raises(InvalidPicture, match=said):
        picture.size(file)


def test_a_broken_picture_is_refused_when_it_is_decoded() -> None:
    with pytest.raises(InvalidPicture, match="a whole WebP of 160 x 106 pixels"):
        picture.decode(cat().picture[:100])
