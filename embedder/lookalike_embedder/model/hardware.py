"""What this machine computes on, and in which precision."""

from collections.abc import Mapping
from typing import Final

import torch

from lookalike_embedder.errors import Unsupported

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device: str) -> str:
    """`cpu` or `cuda`.

    Raises:
        Unsupported: a GPU was asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("device: 'cuda' was asked for, but torch finds no GPU here; leave it 'auto' or 'cpu'")
    return device


def choose_precision(precision: str, device: str) -> str:
    """`fp32`, `bf16`, `fp16` or `int8`.

    Raises:
        Unsupported: int8 was asked for, on a GPU or on a processor without the instructions for it.
    """
    if precision == "int8":
        if device != "cpu":
            raise Unsupported("precision: int8 is for CPUs; a GPU is as fast in bf16 or fp16")
        if not _computes("avx512_vnni", "avx_vnni", "amx_int8"):
            raise Unsupported("precision: int8 needs a processor with VNNI instructions; this one has none")
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _computes("avx512_bf16", "amx_bf16", "bf16") else "fp32"


def _computes(*instructions: str) -> bool:
    """Whether the processor has any of these instructions."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.10
    return any(capabilities.get(name) for name in instructions)
