"""VGG16 with an R-MAC head. The only module that imports torch."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG16_Weights, vgg16

from lookalike_embedder.image import SIZE, Pixels
from lookalike_embedder.rmac import square_regions
from lookalike_embedder.space import MEAN

Precision = Literal["fp32", "bf16", "fp16"]
Tensors = Mapping[str, NDArray[np.float32]]

_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CONV5_3: Final = 30
"""torchvision's `features` up to the ReLU of conv5_3; the fifth pooling would only blur R-MAC's regions."""


class Model:
    """The trunk on its device, ready to compute.

    Args:
        tensors: the trunk's weights, by torchvision's names; see `weights`.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.
        precision: `fp32`, `bf16`, `fp16`, or `auto`: bf16 where the hardware computes in it, else fp16 on a GPU and
            fp32 on a CPU.
    """

    def __init__(self, tensors: Tensors, *, device: str = "auto", precision: str = "auto") -> None:
        self.device = _choose_device(device)
        self.precision = _choose_precision(precision, self.device)
        self._dtype = _DTYPES[self.precision]
        trunk = vgg16(weights=None, init_weights=False).features[:_CONV5_3]
        trunk.load_state_dict({name.removeprefix("features."): torch.from_numpy(t) for name, t in tensors.items()})
        trunk = trunk.eval().to(self.device, self._dtype, memory_format=torch.channels_last)
        self._trunk: nn.Module = trunk.requires_grad_(requires_grad=False)
        self._cores = torch.get_num_threads()
        self._mean = torch.tensor(MEAN, device=self.device).view(1, 3, 1, 1) * 255

    def __call__(self, pixels: Pixels, *, alone: bool = True) -> NDArray[np.float32]:
        """Vectors [n, 512], each of length 1, from pixels [n, SIZE, SIZE, 3]. May be called from several threads.

        On a CPU a call that is `alone` uses all cores, others one core each: two calls of one core each measured a
        sixth faster than two calls of two cores one after the other, as no core waits for another. Only one thread may
        ever be alone: the OpenMP of a second thread makes that of the first one slower by a quarter.
        """
        if self.device == "cpu":
            torch.set_num_threads(self._cores if alone else 1)  # of this thread's calls only
        with torch.inference_mode():
            return rmac(self._trunk(self.prepare(pixels))).cpu().numpy()

    def prepare(self, pixels: Pixels) -> Tensor:
        """The trunk's input [n, 3, SIZE, SIZE] on the device, channels last, from pixels [n, SIZE, SIZE, 3]."""
        batch = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)  # NHWC in memory is channels last
        return (batch - self._mean).to(self._dtype)

    def forward(self, batch: Tensor) -> Tensor:
        """The bare forward pass over a prepared batch, without head or copies: what a benchmark compares with."""
        with torch.inference_mode():
            features: Tensor = self._trunk(batch)
            return features

    def warm_up(self, batch_size: int) -> float:
        """Compute until kernels are chosen and memory is touched; the seconds of the last full batch."""
        seconds = 0.0
        for size in (1, batch_size, batch_size):
            started = time.perf_counter()
            self(np.zeros((size, SIZE, SIZE, 3), np.uint8))
            seconds = time.perf_counter() - started
        return seconds


def rmac(features: Tensor) -> Tensor:
    """R-MAC descriptors [n, channels] of feature maps [n, channels, size, size]; see `rmac.square_regions`.

    The maximum over each region is normalised, the regions are added, and the sum is normalised.
    """
    cells = features.permute(0, 2, 3, 1)  # as they lie in memory: four times faster than reducing across it
    regions = [
        cells[:, top : top + side, left : left + side].flatten(1, 2).amax(dim=1).float()
        for top, left, side in square_regions(features.shape[-1])
    ]
    total = torch.stack([functional.normalize(region) for region in regions]).sum(dim=0)
    return functional.normalize(total)


def read_checkpoint(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a .pth file. Unpickling is restricted to tensors."""
    return _as_arrays(torch.load(path, map_location="cpu", weights_only=True))


def download_torchvision() -> dict[str, NDArray[np.float32]]:
    """The tensors of torchvision's `IMAGENET1K_FEATURES`, from its cache or its download, checked by its own hash."""
    return _as_arrays(VGG16_Weights.IMAGENET1K_FEATURES.get_state_dict(progress=False, check_hash=True))


def _as_arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.float().numpy() for name, tensor in state.items() if name.startswith("features.")}


def _choose_device(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _choose_precision(precision: str, device: str) -> Precision:
    if precision in _DTYPES:
        return precision  # type: ignore[return-value]
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.10
    computes_bf16 = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16" if computes_bf16 else "fp32"
