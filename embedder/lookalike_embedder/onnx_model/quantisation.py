"""Quantise an ONNX file to int8, by calibration on photos."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process


class _Photos(quantization.CalibrationDataReader):  # type: ignore[misc] # published without types
    """The calibration reads one photo at a time."""

    def __init__(self, name: str, pictures: Sequence[NDArray[np.float32]]) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter([{name: picture[None]} for picture in pictures])

    def get_next(self) -> dict[str, Any] | None:
        """Return what the model takes next, or None at the end."""
        return next(self._feeds, None)


def quantise(file: Path, quantised: Path, input_name: str, pictures: Sequence[NDArray[np.float32]]) -> None:
    """Write an ONNX file whose weights and activations are int8.

    Weights have a scale per output channel. Activations have one per layer: the range that they have over the photos.

    Args:
        file: the ONNX file to quantise.
        quantised: where to write.
        input_name: the name of its input.
        pictures: what the input takes, for each photo.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(quantised),
            _Photos(input_name, pictures),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
