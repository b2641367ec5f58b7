"""Read what an ONNX file has in it, without computing: the digest of all that it names, and its precision."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lookalike_embedder.errors import InvalidModel

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

_QUANTISED: Final = frozenset(
    ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "MatMulInteger")
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents are the digest of the file with all files that its weights are in, and how it computes.

    Attributes:
        sha256: in hexadecimal.
        precision: `fp32`, `fp16`, `bf16` or `int8`.
    """

    sha256: str
    precision: str


def read(file: Path) -> Contents:
    """Return the contents of an ONNX file.

    Raises:
        InvalidModel: it cannot be read, is no ONNX file, or one of the files that it names is missing.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(file, load_external_data=False)
    except OSError as error:
        raise InvalidModel(f"model: cannot read {file}: {error}") from error
    except DecodeError as error:
        raise InvalidModel(f"model: {file} is no ONNX file: {error}") from error
    if not model.graph.node:
        raise InvalidModel(f"model: {file} is no ONNX file: it has no graph")
    tensors = list(_tensors(model.graph))
    return Contents(_digest([file, *_outside(file, tensors)]), _precision(model, tensors))


def _tensors(graph: "GraphProto") -> Iterator["TensorProto"]:
    """Yield the tensors of a graph, and of those within it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _tensors(inner)


def _outside(file: Path, tensors: "list[TensorProto]") -> list[Path]:
    """Return the files beside the model that hold its weights, each once."""
    names = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    folder = file.resolve().parent
    for name in sorted(names):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise InvalidModel(f"model: {file} has weights in {name!r}, which is outside its folder")
        if not path.is_file():
            raise InvalidModel(f"model: {file} has weights in {name!r}, which is not beside it")
    return [folder / name for name in sorted(names)]


def _digest(files: list[Path]) -> str:
    if len(files) == 1:
        with files[0].open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    return hashlib.sha256("".join(_digest([file]) for file in files).encode()).hexdigest()


def _precision(model: "ModelProto", tensors: "list[TensorProto]") -> str:
    """Return int8 if the model quantises, else the type of most of its weights."""
    from onnx import TensorProto

    if any(node.op_type in _QUANTISED for node in model.graph.node):
        return "int8"
    names: dict[int, str] = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
    sizes = dict.fromkeys(names.values(), 0)
    for tensor in tensors:
        if name := names.get(tensor.data_type):
            size = 1
            for dimension in tensor.dims:
                size *= dimension
            sizes[name] += size
    return max(sizes, key=lambda name: sizes[name])
