"""Compare VGG16 as an ONNX file on the GPU, by ONNX Runtime, with the CPU's fp32; and measure its speed."""

from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike_embedder import batch_size
from lookalike_embedder.errors import OutOfMemory, Unsupported
from lookalike_embedder.job import Lane
from lookalike_embedder.projection import shipped
from tools.gpu.correctness import cosines
from tools.gpu.record import Record
from tools.gpu.setting import Setting

if TYPE_CHECKING:
    from lookalike_embedder.onnx_model.compute import OnnxModel

COSINE: Final = "gpu_onnx_min_cosine"
PACE: Final = "gpu_onnx_images_per_second"
_SIZES: Final = (1, 3, 8, 32, 64)
_NEEDED: Final = ("onnxruntime", "onnx", "onnxscript")
_MIN_COSINE: Final = 0.999
_MIN_COSINE_SAME: Final = 0.9999


def run(setting: Setting, record: Record) -> None:
    """Write VGG16 as `lookalike-embedder export` does, and load it as `--model` does."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        return _refused(record, f"{', '.join(missing)} not installed: the extras export and onnx-cuda")
    import onnxruntime

    from lookalike_embedder.onnx_model import compute

    on = f"its providers: {', '.join(onnxruntime.get_available_providers())}"
    record.figure("onnxruntime", onnxruntime.__version__, on)
    try:
        model = compute.load(_written(setting), setting.device)
    except Unsupported as error:
        return _refused(record, str(error))
    _compare(setting, model, record)
    return _pace(setting, model, record)


def _refused(record: Record, why: str) -> None:
    record.figure(COSINE, None, why)
    record.figure(PACE, None, why)


def _written(setting: Setting) -> Path:
    from lookalike_embedder import exporting
    from lookalike_embedder.model import originals
    from lookalike_embedder.weights import Weights

    trunk = setting.trunk
    original = originals.vgg16(Weights(trunk.tensors, trunk.sha256, trunk.source), shipped())
    file = setting.scratch / "vgg16.onnx"
    original.write(file)
    file.with_suffix(".toml").write_text(exporting.toml_of(original, int8=False))
    return file


def _compare(setting: Setting, model: "OnnxModel", record: Record) -> None:
    """Compare batches of several sizes, in both lanes, with the CPU; and one photo alone and in a batch."""
    from lookalike_embedder.model import CpuModel

    sizes = _SIZES[:2] if setting.short else _SIZES
    pixels = setting.pixels[: max(sizes)]
    expected = CpuModel(setting.trunk.tensors, "fp32", projection=shipped())(pixels)
    found = [float(cosines(model(pixels[:size], lane), expected[:size]).min()) for size, lane in product(sizes, Lane)]
    on = f"to the CPU's fp32, in {model.precision}, batches of {', '.join(map(str, sizes))} in both lanes"
    record.figure(COSINE, min(found), on, least=_MIN_COSINE)
    together = model(pixels, Lane.BULK)
    alone = np.concatenate([model([one]) for one in pixels[:3]])
    same = float(cosines(alone, together[: len(alone)]).min())
    record.figure(
        "onnx_cosine_alone_and_in_a_batch", same, f"in batches of 1 and {len(pixels)}", least=_MIN_COSINE_SAME
    )


def _pace(setting: Setting, model: "OnnxModel", record: Record) -> None:
    image = setting.pixels[:1]
    largest = 1 if setting.short else model.largest_batch

    def pace(size: int) -> float:
        return batch_size.measure(lambda: model(image * size, Lane.BULK), size)

    try:
        best, paces = batch_size.find(pace, model.warm(largest, 1))
    except OutOfMemory:
        return record.figure(PACE, None, "there is not enough memory for one image")
    shown = ", ".join(f"{size}: {images:.0f}" for size, images in paces.items())
    return record.figure(PACE, paces[best], f"from pixels to vectors, {model.precision}, by batch size: {shown}")
