"""The calibration of int8: shipped for the published weights, kept for others, refused when it is not right."""

import json
from pathlib import Path

import pytest

from lookalike_embedder import calibration
from lookalike_embedder.calibration import Uncalibrated
from lookalike_embedder.weights import PUBLISHED_SHA256

OTHER = "1" * 64
GROWTH = tuple(float(number) for number in range(1, 13))


def test_the_published_weights_need_no_measuring(tmp_path: Path) -> None:
    assert len(calibration.find(tmp_path, PUBLISHED_SHA256)) == 12


def test_other_weights_are_found_in_the_cache_once_they_were_measured(tmp_path: Path) -> None:
    with pytest.raises(Uncalibrated, match="calibrate FOLDER"):
        calibration.find(tmp_path, OTHER)
    calibration.keep(calibration.cache_file(tmp_path, OTHER), OTHER, GROWTH)
    assert calibration.find(tmp_path, OTHER) == GROWTH


@pytest.mark.parametrize("growth", [[], [1.0] * 11, [0.0] * 12, ["a"] * 12])
def test_a_broken_calibration_is_refused_by_its_files_name(tmp_path: Path, growth: list[object]) -> None:
    file = calibration.cache_file(tmp_path, OTHER)
    file.write_text(json.dumps({"weights_sha256": OTHER, "growth": growth}))
    with pytest.raises(Uncalibrated, match=file.name):
        calibration.find(tmp_path, OTHER)


def test_another_calibration_has_another_name() -> None:
    assert calibration.digest(GROWTH) != calibration.digest((*GROWTH[:-1], 12.5))
