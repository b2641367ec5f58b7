"""Choose on which device this machine computes, and in which precision."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch

from lookalike_embedder import processor
from lookalike_embedder.errors import Unsupported

logger = logging.getLogger(__name__)

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_ONEDNN: Final[Mapping[str, Callable[[], bool]]] = {
    "bf16": torch.ops.mkldnn._is_mkldnn_bf16_supported,
    "fp16": torch.ops.mkldnn._is_mkldnn_fp16_supported,
}
"""Functions that return whether oneDNN, which computes on a CPU, has convolutions in a precision here."""
_VNNI: Final = frozenset(("avx512_vnni", "avx_vnni", "amx_int8"))
"""With any of these instructions, oneDNN multiplies int8 faster than bf16."""
_DRIVER: Final = Path("/proc/driver/nvidia/version")


def choose_device(device: str) -> str:
    """Return the device to use, `cpu` or `cuda`.

    Raises:
        Unsupported: a GPU was asked for, and there is none.
    """
    if device == "cpu":
        return device
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise Unsupported(
            f"device: 'cuda' was asked for, but torch finds no GPU here ({_why_no_gpu()}); leave it 'auto' or 'cpu'"
        )
    if _DRIVER.exists():  # the driver may be too old for torch's CUDA; otherwise only the slowness would be seen
        logger.warning("there is an NVIDIA driver, but torch finds no GPU: %s; computing on the CPU", _why_no_gpu())
    return "cpu"


def _why_no_gpu() -> str:
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.get_device_properties(0)
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0]
    return "it does not say why"


def choose_precision(precision: str, device: str) -> str:
    """Return the precision to use: `fp32`, `bf16`, `fp16` or `int8`; on a CPU also `auto`, for what is fastest.

    Raises:
        Unsupported: int8 was asked for on a GPU, or any precision on a processor without the instructions for it.
    """
    if precision == "int8":
        if device != "cpu":
            raise Unsupported("precision: int8 is for CPUs; a GPU is as fast in bf16 or fp16")
        if not computes_on_cpu(precision):
            raise Unsupported("precision: int8 needs a processor with VNNI instructions; this one has none")
    if device == "cpu" and precision != "auto" and not computes_on_cpu(precision):
        raise Unsupported(
            f"precision: {precision} needs instructions that this processor does not have; take fp32 or auto"
        )
    if precision == "auto" and device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return precision


def computes_on_cpu(precision: str) -> bool:
    """Return whether this processor has what a precision needs."""
    if precision == "int8":
        return not _VNNI.isdisjoint(processor.instructions())
    return precision not in _ONEDNN or _ONEDNN[precision]()
