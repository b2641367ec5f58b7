"""Measure the trunk on ready tensors, without anything around it, in each of the ways to run it."""

import copy
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from lookalike_embedder import batch_size
from lookalike_embedder.errors import OutOfMemory
from lookalike_embedder.image import SIZE
from lookalike_embedder.job import Lane
from tools.gpu.record import Record
from tools.gpu.setting import Setting
from tools.gpu.timing import calls_per_second, flop_per_image, watched

_SIZES: Final = (16, 32, 64, 128, 256)

Forward = Callable[[], object]


def run(setting: Setting, record: Record) -> None:
    """Measure the best batch size, then each way at the size at which the plain one is fastest."""
    model = setting.model()
    _knee(setting, model, record)
    size = _best_size(setting, model)
    batch = model.prepare(_noise(size))
    paces: dict[str, float] = {}
    for name, make in _ways(setting, model, batch).items():
        try:
            forward = make()
            with watched(setting.device) as busy, torch.inference_mode():
                paces[name] = calls_per_second(forward, setting.device, setting.seconds) * size
        except (RuntimeError, AttributeError, ImportError) as error:
            record.figure(f"bare_{name}", None, f"{type(error).__name__}: {error}"[:300].replace("\n", " "))
            continue
        on = f"images/s, batches of {size}, {setting.chosen_precision}; {busy}"
        record.figure(f"bare_{name}", paces[name], on)
        _best(paces, size, record)


def _best(paces: dict[str, float], size: int, record: Record) -> None:
    """Record the fastest way so far. This is done after each way, in case the next one takes too long."""
    best = max(paces, key=lambda name: paces[name])
    record.figure("gpu_bare_images_per_second", paces[best], f"the fastest so far, {best}, batches of {size}")
    record.figure(
        "gpu_bare_tflops", paces[best] * flop_per_image() / 1e12, f"{flop_per_image() / 1e9:.1f} GFLOP an image"
    )


def _noise(size: int) -> list[Any]:
    return list(np.random.default_rng(0).integers(0, 256, (size, SIZE, SIZE, 3), np.uint8))


def _knee(setting: Setting, model: Any, record: Record) -> None:  # noqa: ANN401
    images = _noise(1)

    def pace(size: int) -> float:
        return batch_size.measure(lambda: model(images * size, Lane.BULK), size)

    best, paces = batch_size.find(pace, 1 if setting.short else batch_size.LARGEST)
    shown = ", ".join(f"{size}: {images:.0f}" for size, images in paces.items())
    record.figure("gpu_knee", best, f"images in a batch; images/s of one worker by batch size: {shown}")


def _best_size(setting: Setting, model: Any) -> int:  # noqa: ANN401
    if setting.short:
        return 1
    paces = {}
    for size in _SIZES if setting.device == "cuda" else (1, 2, 4):
        try:
            batch = model.prepare(_noise(size))
            paces[size] = calls_per_second(lambda ready=batch: model.forward(ready), setting.device, 0.7) * size  # type: ignore[misc]
        except (OutOfMemory, torch.OutOfMemoryError):
            break
    return max(paces, key=lambda size: paces[size])


def _ways(setting: Setting, model: Any, batch: Tensor) -> dict[str, Callable[[], Forward]]:  # noqa: ANN401
    """Return functions that prepare each way to run, by its name. The slowest to prepare come last."""
    trunk: nn.Module = model._trunk
    ways: dict[str, Callable[[], Forward]] = {
        "channels_last": lambda: lambda: trunk(batch),
        "eager": lambda: _contiguous(trunk, batch),
    }
    if setting.device == "cuda":
        ways["graph"] = lambda: _graph(lambda: trunk(batch))
        ways["cudnn_benchmark_graph"] = lambda: _benchmarked(lambda: trunk(batch))
        ways["fused_relu_graph"] = lambda: _graph(_fused(trunk, batch))
    if not setting.short:
        ways["compiled"] = lambda: _compiled(trunk, batch)
        if setting.device == "cuda":
            ways["compiled_graph"] = lambda: _graph(_compiled(trunk, batch))
    return ways


def _contiguous(trunk: nn.Module, batch: Tensor) -> Forward:
    """Return the trunk in the usual layout, channels first."""
    usual = copy.deepcopy(trunk).to(memory_format=torch.contiguous_format)
    ready = batch.contiguous(memory_format=torch.contiguous_format)
    return lambda: usual(ready)


def _graph(forward: Forward) -> Forward:
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(3):
            forward()
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            output = forward()

    def replayed() -> object:
        graph.replay()
        return output

    return replayed


def _benchmarked(forward: Forward) -> Forward:
    """Return the trunk with kernels that cuDNN chooses by trying; the embedder uses those that cuDNN guesses."""
    torch.backends.cudnn.benchmark = True
    try:
        return _graph(forward)
    finally:
        torch.backends.cudnn.benchmark = False


def _fused(trunk: nn.Module, batch: Tensor) -> Forward:
    """Return the trunk with bias and ReLU in the convolution's own kernel."""
    layers = list(trunk)  # type: ignore[call-overload]

    def forward() -> Tensor:
        x = batch
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                x = torch.cudnn_convolution_relu(x, layer.weight, layer.bias, (1, 1), (1, 1), (1, 1), 1)
            elif isinstance(layer, nn.MaxPool2d):
                x = layer(x)
        return x

    return forward


def _compiled(trunk: nn.Module, batch: Tensor) -> Forward:
    compiled = torch.compile(trunk, dynamic=False)
    with torch.inference_mode():
        compiled(batch)
    return lambda: compiled(batch)
