"""What only a GPU has, with one that is made up: streams, graphs and their memory, events, and how all that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lookalike_embedder.errors import DeviceLost, OutOfMemory, Unsupported
from lookalike_embedder.job import Lane
from lookalike_embedder.space import DIMENSIONS
from lookalike_embedder.weights import SHAPES
from tests.lazily import Lazily

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lookalike_embedder.model import CudaModel, hardware
    from lookalike_embedder.model import cuda as cuda_module
    from lookalike_embedder.model import graph as graph_module
else:
    torch = Lazily("torch")
    hardware, cuda_module, graph_module = (
        Lazily(f"lookalike_embedder.model.{name}") for name in ("hardware", "cuda", "graph")
    )


class FakeGraph:
    """Does again what was captured."""

    def __init__(self) -> None:
        self.captured: Callable[[], object] = lambda: None

    def replay(self) -> None:
        self.captured()


class FakeCuda:
    """Computes at once, on the CPU, and keeps a diary."""

    CUDAGraph = FakeGraph

    def __init__(self) -> None:
        self.OutOfMemoryError = torch.OutOfMemoryError
        self.diary: list[str] = []
        self.pools: list[int] = []
        self.capturing: FakeGraph | None = None
        self.breaks: BaseException | None = None
        self.lost = False
        self.current: Any = None

    def Stream(self, priority: int) -> SimpleNamespace:  # noqa: N802 - torch's name
        return SimpleNamespace(priority=priority, synchronize=lambda: None)

    def Event(self, *, blocking: bool) -> SimpleNamespace:  # noqa: N802 - torch's name
        assert blocking
        return SimpleNamespace(
            record=lambda: self.diary.append("record"), synchronize=lambda: self.diary.append("wait")
        )

    @contextmanager
    def stream(self, stream: object) -> Iterator[None]:
        self.current = stream
        yield

    def current_stream(self) -> Any:  # noqa: ANN401 - see Stream
        return self.current

    def graph_pool_handle(self) -> int:
        self.pools.append(len(self.pools) + 1)
        return self.pools[-1]

    @contextmanager
    def graph(self, graph: FakeGraph, *, pool: int, stream: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"  # the others go on with their own work meanwhile
        assert stream is self.current
        assert graph_module.CAPTURING.locked()
        self.capturing = graph
        try:
            yield
        finally:
            self.capturing = None
            self.diary.append(f"captured in pool {pool}")
            if self.breaks:
                raise RuntimeError("operation failed due to a previous error during capture")

    def synchronize(self) -> None:
        if self.lost:
            raise RuntimeError("CUDA error: device-side assert triggered")

    def empty_cache(self) -> None:
        assert graph_module.CAPTURING.locked()
        self.diary.append("emptied")


class FakeTorch:
    """torch, but for the GPU."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever torch has
        return getattr(torch, name)

    def zeros(self, shape: tuple[int, ...], *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
        return torch.zeros(shape, dtype=dtype)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr("lookalike_embedder.model.graph.torch", FakeTorch(fake))
    return fake


def vectors_of(cuda: FakeCuda, sizes: list[int]) -> Callable[[Tensor], Tensor]:
    """A forward pass: an image's first value, again and again. Notes each size that is computed outside of a graph."""

    def vectors(pixels: Tensor) -> Tensor:
        if cuda.breaks and cuda.capturing:
            raise cuda.breaks
        found = torch.empty((len(pixels), DIMENSIONS))

        def run() -> None:
            found.copy_(pixels[:, 0, 0, :1].float().expand(-1, DIMENSIONS))

        run()
        if cuda.capturing:
            cuda.capturing.captured = run
        else:
            sizes.append(len(pixels))
        return found

    return vectors


def images(*values: int) -> list[np.ndarray]:
    return [np.full((224, 224, 3), value, np.uint8) for value in values]


def test_graphs_are_captured_largest_first_in_one_memory_and_then_only_replayed(cuda: FakeCuda) -> None:
    sizes: list[int] = []
    worker = graph_module.Worker(vectors_of(cuda, sizes), "cuda", -1, captures=True)
    worker.prepare([1, 2, 4])
    assert sizes == [4, 4, 2, 2, 1, 1]  # twice before each capture
    assert cuda.diary == ["captured in pool 1"] * 3
    assert worker.graphs == 3
    for values in ((7, 8, 9), (1,), (5, 6, 7, 8)):
        assert worker(images(*values))[:, 0].tolist() == list(values)
    assert sizes == [4, 4, 2, 2, 1, 1]


def test_buffers_are_used_again_only_after_what_was_copied_has_arrived(cuda: FakeCuda) -> None:
    worker = graph_module.Worker(vectors_of(cuda, []), "cuda", 0, captures=False)
    first = worker(images(1))
    assert cuda.diary == ["record", "wait"]
    worker(images(2))
    assert first[0, 0] == 1  # and it is the caller's own


def test_a_capture_that_fails_costs_speed_and_no_image(cuda: FakeCuda, caplog: pytest.LogCaptureFixture) -> None:
    worker = graph_module.Worker(vectors_of(cuda, []), "cuda", 0, captures=True)
    cuda.breaks = RuntimeError("operation not permitted when stream is capturing")
    for value in (3, 4):
        assert worker(images(value, 1, 2))[0, 0] == value
        assert worker(images(value))[0, 0] == value
    assert cuda.diary.count("captured in pool 1") == 1  # it was tried once
    assert worker.graphs == 0
    assert "cannot be captured" in caplog.text


def test_after_giving_memory_back_graphs_have_a_new_pool(cuda: FakeCuda) -> None:
    """One that the last graph has left is refused."""
    worker = graph_module.Worker(vectors_of(cuda, []), "cuda", 0, captures=True)
    worker(images(1))
    worker.forget()
    worker(images(1))
    captured = [entry for entry in cuda.diary if entry.startswith(("captured", "emptied"))]
    assert captured == ["captured in pool 1", "emptied", "captured in pool 2"]


@pytest.fixture
def model(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> CudaModel:
    """One that takes the made-up GPU for its own, and computes `vectors_of`."""
    made = cuda_module.CudaModel(
        {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}, "fp32", device="cpu"
    )
    monkeypatch.setattr("lookalike_embedder.model.cuda.torch", FakeTorch(cuda))
    made.device = "cuda"
    monkeypatch.setattr(made, "_vectors", vectors_of(cuda, []))
    return made


def test_memory_that_runs_out_in_a_capture_is_told_as_such_and_what_is_smaller_goes_on(
    cuda: FakeCuda, model: CudaModel
) -> None:
    """The capture's own end fails then too, and hides what came first."""
    cuda.breaks = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    with pytest.raises(OutOfMemory):
        model(images(1, 2), Lane.BULK)
    assert cuda.diary[-1] == "emptied"
    cuda.breaks = None
    assert model(images(5), Lane.BULK)[0, 0] == 5
    assert model.graphs == 1


def test_a_device_that_fails_at_everything_is_lost_and_one_that_does_not_is_not(
    cuda: FakeCuda, model: CudaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(model, "_vectors", failing)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        model(images(1))
    cuda.lost = True
    with pytest.raises(DeviceLost):
        model(images(1))


def test_all_that_traffic_needs_is_captured_before_it_comes(cuda: FakeCuda, model: CudaModel) -> None:
    assert model.warm(4, bulk_workers=2) == 4
    assert model.graphs == 3 * 3  # of each of three workers
    before = list(cuda.diary)
    for lane in Lane:
        model(images(1, 2, 3), lane)
    assert [entry for entry in cuda.diary[len(before) :] if entry.startswith("captured")] == []
    priorities = [worker._stream.priority for lane in Lane for worker in model._idle[lane] if worker._stream]
    assert priorities == [-2, 0, 0]


def test_what_does_not_fit_at_start_is_halved_until_it_does(
    cuda: FakeCuda, model: CudaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = vectors_of(cuda, [])

    def small(pixels: Tensor) -> Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fits(pixels)

    monkeypatch.setattr(model, "_vectors", small)
    assert model.warm(16, bulk_workers=1) == 2


@pytest.mark.parametrize("text", ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_memory_can_run_out_below_torch(text: str) -> None:
    assert graph_module.is_out_of_memory(RuntimeError(text))
    assert not graph_module.is_out_of_memory(RuntimeError("CUDA error: unspecified launch failure"))


def test_a_driver_without_a_usable_gpu_is_never_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`auto` goes on, on the CPU, and says why; `cuda` ends, with the same reason."""

    def too_old() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update")

    driver = tmp_path / "version"
    driver.write_text("NVRM version: 470")
    monkeypatch.setattr("lookalike_embedder.model.hardware._DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", too_old)
    assert hardware.choose_device("auto") == "cpu"
    assert "too old" in caplog.text
    with pytest.raises(Unsupported, match="too old"):
        hardware.choose_device("cuda")
