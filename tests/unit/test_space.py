"""The embedding space's name."""

import re

import pytest

from lookalike_embedder import space


def test_the_name_has_architecture_and_twelve_digits() -> None:
    assert re.fullmatch(r"vgg16-rmac512-[0-9a-f]{12}", space.space_of("0" * 64))


def test_other_weights_are_another_space() -> None:
    assert space.space_of("0" * 64) != space.space_of("1" * 64)


def test_other_preprocessing_is_another_space(monkeypatch: pytest.MonkeyPatch) -> None:
    before = space.space_of("0" * 64)
    monkeypatch.setattr(space, "PREPROCESSING", "bicubic")
    assert space.space_of("0" * 64) != before


def test_int8_is_a_space_of_its_own_and_so_is_each_calibration() -> None:
    assert len({space.space_of("0" * 64), space.space_of("0" * 64, "a"), space.space_of("0" * 64, "b")}) == 3


def test_each_projection_is_a_space_of_its_own_of_another_architecture() -> None:
    plain, one, other = space.vgg16("0" * 64), space.vgg16("0" * 64, projection="a"), space.vgg16("0" * 64, "", "b")
    assert len({plain.space, one.space, other.space}) == 3
    assert (plain.architecture, one.architecture) == ("vgg16-rmac512", "vgg16-layout512")
    assert one.space.startswith("vgg16-layout512-")
