"""A projection: learned, kept as a file, and computed behind the pooling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lookalike_embedder import projection
from lookalike_embedder.projection import InvalidProjection
from tests.lazily import Lazily

if TYPE_CHECKING:
    import torch

    from lookalike_embedder.model import head
    from tools import learn_projection
else:
    torch, head = Lazily("torch"), Lazily("lookalike_embedder.model.head")
    learn_projection = Lazily("tools.learn_projection")


def test_what_is_learned_is_read_again_and_computed_by_both_heads(tmp_path: Path) -> None:
    noise = torch.randn((2, 300, 512, 14, 14), generator=torch.Generator().manual_seed(0)).relu()
    rows = np.concatenate([learn_projection.with_mirrored(head.Maps(*noise[:, n : n + 1])) for n in range(300)])
    made = learn_projection.learned([rows[:200], rows[200:]])
    projection.write(tmp_path / "p.safetensors", made, "noise (300)")
    kept = projection.read(tmp_path / "p.safetensors")
    assert kept.sha256 == made.sha256
    expected = kept(rows[:8:2].astype(np.float32))
    for regional in (head.rmac, head.pooled_rmac):
        found = head.Head(regional, kept)(head.Maps(*noise[:, :4])).numpy()
        assert found.shape == (4, 512)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_too_few_photos_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 256 are needed, got 100"):
        learn_projection.learned([np.zeros((200, projection.INPUTS), np.float16)])
    (tmp_path / "p.safetensors").write_bytes(b"no projection")
    with pytest.raises(InvalidProjection, match="cannot use the projection"):
        projection.read(tmp_path / "p.safetensors")
