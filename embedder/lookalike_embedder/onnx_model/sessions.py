"""Open sessions of ONNX Runtime, on the device that is asked for: one for each lane, and one for texts."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnxruntime
from onnxruntime import InferenceSession as Session

from lookalike_embedder.errors import InvalidModel, Unsupported
from lookalike_embedder.job import Lane
from lookalike_embedder.processor import CORES

logger = logging.getLogger(__name__)

_CUDA: Final = "CUDAExecutionProvider"
_OPENVINO: Final = "OpenVINOExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
_NO_MEMORY: Final = ("Failed to allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED", "AllocateRaw")
"""Parts of the messages with which ONNX Runtime, CUDA and cuBLAS say that memory has run out."""
_ERRORS_ALONE: Final = 3
"""The severity of what ONNX Runtime prints by itself."""
_CUDA_OPTIONS: Final = {
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all algorithms anew for each batch size that arrives
    "arena_extend_strategy": "kSameAsRequested",  # the default takes twice as much memory at each step
}


def open_sessions(file: Path, device: str) -> tuple[Mapping[Lane, Session], str]:
    """Return a session for each lane, and the device on which they compute.

    On a CPU, each lane has a session of its own, as a session has one number of threads: all cores for the interactive
    lane, and the caller's thread for bulk work, whose workers call the session side by side.

    Raises:
        InvalidModel: ONNX Runtime cannot load the file.
        Unsupported: a GPU or OpenVINO was asked for, and ONNX Runtime has none.
    """
    if device in ("auto", "cuda") and (session := _on_gpu(file, device)):
        return dict.fromkeys(Lane, session), "cuda"
    bulk = _opened(file, 1, _processors(1, device))
    if device == "openvino" and _OPENVINO not in bulk.get_providers():
        raise Unsupported(
            "device: 'openvino' was asked for, but OpenVINO cannot be loaded; what it has printed says why"
        )
    logger.info("ONNX Runtime %s computes with %s", onnxruntime.__version__, bulk.get_providers()[0])
    interactive = bulk if CORES == 1 else _opened(file, CORES, _processors(CORES, device))
    return {Lane.INTERACTIVE: interactive, Lane.BULK: bulk}, "cpu"


def open_text_session(file: Path, device: str, *, on_gpu: bool) -> Session:
    """Return the session for texts, which are all interactive, on the device of the images.

    Args:
        file: the text encoder.
        device: the device that was asked for.
        on_gpu: whether images are computed on a GPU.

    Raises:
        InvalidModel: ONNX Runtime cannot load the file.
        Unsupported: images are computed on a GPU, and texts cannot be.
    """
    if on_gpu and (session := _on_gpu(file, "cuda")):
        return session
    return _opened(file, CORES, _processors(CORES, device))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of ONNX Runtime says that memory has run out."""
    return any(part in str(error) for part in _NO_MEMORY)


def _on_gpu(file: Path, device: str) -> Session | None:
    """Return a session on a GPU, if there is one. ONNX Runtime itself computes on the CPU instead, without an error."""
    why = "this onnxruntime is built without CUDA; install the extra onnx-cuda instead of onnx"
    if _CUDA in onnxruntime.get_available_providers():
        onnxruntime.preload_dlls()  # those of CUDA that came with torch
        session = _opened(file, 1, [(_CUDA, _CUDA_OPTIONS), _CPU])
        if _CUDA in session.get_providers():
            return session
        why = "it finds no GPU, or not its CUDA libraries; what it has printed says which"
        if device == "auto":
            logger.warning("ONNX Runtime cannot compute on a GPU: %s; computing on the CPU", why)
    if device == "cuda":
        raise Unsupported(f"device: 'cuda' was asked for, but ONNX Runtime cannot: {why}")
    return None


def _processors(threads: int, device: str) -> list[Any]:
    """Return the providers for a CPU: OpenVINO's too, where that build is installed and `cpu` was not asked for.

    Raises:
        Unsupported: OpenVINO was asked for, and this build has none.
    """
    if device == "cpu" or _OPENVINO not in onnxruntime.get_available_providers():
        if device == "openvino":
            raise Unsupported(
                "device: 'openvino' was asked for, but this onnxruntime is built without it; install the extra"
                " onnx-openvino instead of onnx"
            )
        return [_CPU]
    return [(_OPENVINO, {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)}), _CPU]


def _opened(file: Path, threads: int, providers: list[Any]) -> Session:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that have nothing to do would turn round for a while by default, on cores that bulk work needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return Session(str(file), options, providers=providers)
    except Exception as error:  # each of its errors derives from Exception alone
        raise InvalidModel(f"model: ONNX Runtime cannot load {file}: {error}") from error
