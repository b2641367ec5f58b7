"""Small networks as ONNX files, with their TOML, made on the spot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE: Final = 32
TOML: Final = {
    "name": '"tiny"',
    "licence": '"CC0-1.0"',
    "input.name": '"pixels"',
    "input.size": str(SIDE),
    "input.resize": '"squash"',
    "input.interpolation": '"bilinear"',
    "input.channels": '"rgb"',
    "input.mean": "[0.5, 0.5, 0.5]",
    "input.std": "[0.25, 0.25, 0.25]",
    "output.name": '"vector"',
    "output.pooling": '"none"',
    "output.normalisation": '"l2"',
}


def toml(**changes: str | None) -> str:
    """The text of such a TOML; `input__size` is `input.size`, and None leaves a key out."""
    values = TOML | {key.replace("__", "."): value for key, value in changes.items()}
    lines: list[str] = []
    for table in ("", "input", "output", "limits"):
        keys = {key: value for key, value in values.items() if key.rpartition(".")[0] == table and value is not None}
        if keys:
            lines += [f"[{table}]"] * bool(table)
            lines += [f"{key.rpartition('.')[2]} = {value}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def write(
    folder: Path,
    dimensions: int = 384,
    *,
    batch: int | str = "n",
    pooled: bool = True,
    name: str = "tiny",
    changes: Mapping[str, str | None] | None = None,
    **model: Any,  # noqa: ANN401 - options of onnx
) -> Path:
    """A convolution of random filters over cells of 8 × 8 pixels, and the mean over all cells."""
    filters = np.random.default_rng(dimensions).normal(size=(dimensions, 3, 8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["pixels", "filters"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Relu", ["cells"], ["positive" if pooled else "vector"]),
    ]
    shape: list[int | str] = [batch, dimensions, SIDE // 8, SIDE // 8]
    if pooled:
        nodes.append(helper.make_node("GlobalAveragePool", ["positive"], ["mean"]))
        nodes.append(helper.make_node("Flatten", ["mean"], ["vector"]))
        shape = shape[:2]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(filters, "filters")],
    )
    file = folder / f"{name}.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(made, file, **model)
    file.with_suffix(".toml").write_text(toml(**{"name": f'"{name}"', **(changes or {})}))
    return file
