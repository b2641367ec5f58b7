"""A projection: learned, kept as a file, and computed behind the pooling. One comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lookalike_embedder import loading, projection, space
from lookalike_embedder.config import Config
from lookalike_embedder.errors import Unsupported
from lookalike_embedder.projection import InvalidProjection, Projection
from lookalike_embedder.weights import PUBLISHED_SHA256
from tests.lazily import Lazily

if TYPE_CHECKING:
    import torch

    from lookalike_embedder.model import head
    from tools import learn_projection
else:
    torch, head = Lazily("torch"), Lazily("lookalike_embedder.model.head")
    learn_projection = Lazily("tools.learn_projection")


def test_what_is_learned_is_read_again_and_computed_by_both_heads(tmp_path: Path) -> None:
    noise = torch.randn((2, 600, 512, 14, 14), generator=torch.Generator().manual_seed(0)).relu()
    rows = learn_projection.inputs_of(head.Maps(*noise))
    made = learn_projection.learned([rows[:400], rows[400:]])
    projection.write(tmp_path / "p.npz", made, "noise (600)")
    kept = projection.read(tmp_path / "p.npz")
    assert kept.sha256 == made.sha256
    projected = rows[:4].astype(np.float32) @ kept.matrix.T
    expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    for regional in (head.rmac, head.pooled_rmac):
        found = head.Head(regional, kept)(head.Maps(*noise[:, :4])).numpy()
        assert found.shape == (4, 512)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_too_few_photos_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 512 are needed, got 200"):
        learn_projection.learned([np.zeros((200, projection.INPUTS), np.float16)])
    file = tmp_path / "p.npz"
    file.write_bytes(b"no projection")
    with pytest.raises(InvalidProjection, match="cannot use the projection"):
        projection.read(file)
    file.write_bytes(projection.SHIPPED.read_bytes()[:-1000])
    with pytest.raises(InvalidProjection, match="cannot use the projection"):
        projection.read(file)
    np.savez(file, matrix=np.zeros((512, projection.INPUTS), np.float16))
    with pytest.raises(InvalidProjection, match=r"levels .*; learn one with tools/learn_projection\.py"):
        projection.read(file)


def test_the_default_is_the_projection_that_was_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = loading.projection_of(Config())
    assert shipped
    assert shipped.sha256 == projection.SHIPPED_SHA256
    other = Projection(np.roll(shipped.levels, 1, axis=0), shipped.steps)
    projection.write(tmp_path / "other.npz", other, "the same")
    monkeypatch.setattr(projection, "SHIPPED", tmp_path / "other.npz")
    with pytest.raises(InvalidProjection, match="its digest must be"):
        projection.shipped()


def test_the_descriptor_before_is_there_by_name_under_its_old_space() -> None:
    config = Config(descriptor="rmac")
    assert loading.projection_of(config) is None
    assert space.space_of(PUBLISHED_SHA256) == "vgg16-rmac512-160fb32a03b2"
    with pytest.raises(Unsupported, match="projection: is of the descriptor 'layout'"):
        loading.projection_of(Config(descriptor="rmac", projection=Path("p.npz")))
