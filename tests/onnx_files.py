"""Small networks as ONNX files, with their TOML, made on the spot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

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
    for table in ("", "input", "output", "limits", "text"):
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


COLOURS: Final = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
WORDS: Final = ("[PAD]", "[UNK]", "[BEGIN]", "[END]", *COLOURS, "boots", "rain")
TEXT: Final = {
    "text.model": '"tiny-text.onnx"',
    "text.tokenizer": '"tokenizer.json"',
    "text.input": '"ids"',
    "text.mask": '"mask"',
    "text.output": '"vector"',
    "text.tokens": "8",
    "text.padding": "0",
}


def write_with_text(
    folder: Path,
    dimensions: int = 16,
    *,
    words: tuple[str, ...] = WORDS,
    changes: Mapping[str, str | None] | None = None,
) -> Path:
    """A model that sees the mean colour alone, and a text encoder that knows the names of some colours."""
    pooled = helper.make_node("GlobalAveragePool", ["pixels"], ["mean"])
    nodes = [pooled, helper.make_node("Flatten", ["mean"], ["colour"])]
    nodes.append(helper.make_node("MatMul", ["colour", "directions"], ["vector"]))
    file = folder / "tiny.onnx"
    _save(
        file,
        nodes,
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        {"directions": _directions(dimensions)},
        dimensions,
    )
    write_text_encoder(folder / "tiny-text.onnx", table(dimensions))
    write_tokenizer(folder / "tokenizer.json", words)
    named = TEXT | {key.replace("__", "."): value for key, value in (changes or {}).items()}
    file.with_suffix(".toml").write_text(toml(**named))
    return file


def table(dimensions: int) -> np.ndarray:
    """A vector for each word: of its colour, or of a light grey if it has none."""
    scaled = [(np.array(COLOURS.get(word, (140, 140, 140))) / 255 - 0.5) / 0.25 for word in WORDS]
    return np.asarray(np.array(scaled, np.float32) @ _directions(dimensions), np.float32)


def _directions(dimensions: int) -> np.ndarray:
    return np.random.default_rng(dimensions).normal(size=(3, dimensions)).astype(np.float32)


def write_text_encoder(file: Path, table: np.ndarray, kind: int = TensorProto.INT64, length: int | str = "t") -> None:
    """The sum of the vectors of all tokens, without those that are masked."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["rows"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "rows"], ["each"]),
        helper.make_node("Cast", ["mask"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "last"], ["weights"]),
        helper.make_node("Mul", ["each", "weights"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["vector"], keepdims=0),
    ]
    constants = {"table": table, "last": np.array([2]), "tokens": np.array([1])}
    taken = [helper.make_tensor_value_info(name, kind, ["n", length]) for name in ("ids", "mask")]
    _save(file, nodes, taken, constants, table.shape[1])


def write_tokenizer(file: Path, words: tuple[str, ...] = WORDS) -> None:
    """A tokenizer of whole words, in lower case, that marks the begin and the end of a text, and truncates it."""
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.add_special_tokens([word for word in words if word.startswith("[")])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(mark, words.index(mark)) for mark in ("[BEGIN]", "[END]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[BEGIN] $A [END]", special_tokens=marks)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding()
    tokenizer.save(str(file))


def _save(
    file: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    constants: Mapping[str, np.ndarray],
    dimensions: int,
) -> None:
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", dimensions])]
    initial = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initial)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)
