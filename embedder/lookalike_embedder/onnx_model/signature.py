"""Check that the inputs and outputs of an ONNX file are what its TOML says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from lookalike_embedder.errors import InvalidModel
from lookalike_embedder.onnx_model.rules import MAX_BATCH_SIZE
from lookalike_embedder.onnx_model.settings import Settings, TextSettings

_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_TOKEN_TYPES: Final = {"tensor(int64)": "int64", "tensor(int32)": "int32"}
_RANKS: Final = {"none": (2,), "first": (3,), "mean": (3, 4), "max": (3, 4)}
_KINDS: Final = {2: "[n, d]", 3: "[n, tokens, d]", 4: "[n, d, height, width]"}


class Signature(NamedTuple):
    """The signature is the type of the input, by numpy's name, and the most images that it takes at once."""

    type: str
    largest_batch: int


class Described(Protocol):
    """An input or output is described by ONNX Runtime like this; a dimension of any size has a name, or None."""

    name: str
    type: str
    shape: Sequence[Any]


class Session(Protocol):
    """A session says what goes in and out."""

    def get_inputs(self) -> Sequence[Any]:
        """Return the inputs that must be given."""

    def get_outputs(self) -> Sequence[Any]:
        """Return the outputs of the model."""


def check(file: Path, session: Session, said: Settings) -> Signature:
    """Return the signature of the model's input.

    Raises:
        InvalidModel: an input or an output is not what the TOML says. The message names it, its shape, and the line.
    """
    inputs = session.get_inputs()
    taken = _named(file, "input", inputs, said.input_name, said)
    if len(inputs) > 1:
        raise InvalidModel(f"model: {file} must have one input, has {_list(inputs)}")
    if taken.type not in _TYPES:
        raise InvalidModel(f"model: {file}: input {_shown(taken)} must be float32 or float16, and not {taken.type}")
    size = said.preprocessing.size
    if len(taken.shape) != 4 or not all(map(_fits, taken.shape[1:], (3, size, size))) or taken.shape[0] == 0:
        raise InvalidModel(
            f"model: {file}: input {_shown(taken)} must take [n, 3, {size}, {size}]; see {said.place('input.size')}"
        )
    if isinstance(taken.shape[0], int) and taken.shape[0] > 1:
        raise InvalidModel(
            f"model: {file}: input {_shown(taken)} takes {taken.shape[0]} images and no other number; its first"
            " dimension must be of any size, or 1"
        )
    given = _named(file, "output", session.get_outputs(), said.output_name, said)
    if given.shape and len(given.shape) not in _RANKS[said.pooling]:
        kinds = " or ".join(_KINDS[rank] for rank in _RANKS[said.pooling])
        raise InvalidModel(
            f"model: {file}: output {_shown(given)} must have the shape {kinds}; see {said.place('output.pooling')}"
        )
    return Signature(_TYPES[taken.type], 1 if taken.shape[0] == 1 else MAX_BATCH_SIZE)


def check_text(file: Path, session: Session, said: Settings, text: TextSettings) -> tuple[dict[str, str], bool]:
    """Return the types of a text encoder's inputs, by numpy's names, and whether it takes several texts at once.

    Raises:
        InvalidModel: an input or an output is not what the TOML says. The message names it, its shape, and the line.
    """
    inputs = session.get_inputs()
    taken = {text.input_name: _named(file, "input", inputs, text.input_name, said, "text.input")}
    if text.mask_name:
        taken[text.mask_name] = _named(file, "input", inputs, text.mask_name, said, "text.mask")
    if len(inputs) > len(taken):
        raise InvalidModel(f"model: {file} has the inputs {_list(inputs)}, of which the TOML names {', '.join(taken)}")
    for one in taken.values():
        _check_tokens(file, one, said, text)
    given = _named(file, "output", session.get_outputs(), text.output_name, said, "text.output")
    if given.shape and len(given.shape) != 2:
        raise InvalidModel(
            f"model: {file}: output {_shown(given)} must have the shape {_KINDS[2]}; see {said.place('text.output')}"
        )
    return {name: _TOKEN_TYPES[one.type] for name, one in taken.items()}, taken[text.input_name].shape[0] != 1


def _check_tokens(file: Path, taken: Described, said: Settings, text: TextSettings) -> None:
    """Check an input for tokens, or for their mask."""
    if taken.type not in _TOKEN_TYPES:
        raise InvalidModel(f"model: {file}: input {_shown(taken)} must be int64 or int32, and not {taken.type}")
    length = taken.shape[1] if len(taken.shape) == 2 else 0
    fits = not isinstance(length, int) or (length == text.max_tokens and text.padding is not None)
    if not fits or (isinstance(taken.shape[0], int) and taken.shape[0] != 1):
        rule = f"or {text.max_tokens}, with padding" if text.padding is None else f"or {text.max_tokens}"
        raise InvalidModel(
            f"model: {file}: input {_shown(taken)} must take [n, tokens], where n is any number or 1, and tokens any"
            f" {rule}; see {said.place('text.tokens')}"
        )


def _fits(dimension: object, wanted: int) -> bool:
    return not isinstance(dimension, int) or dimension == wanted


def _named(
    file: Path, kind: str, described: Sequence[Described], name: str, said: Settings, key: str = ""
) -> Described:
    for one in described:
        if one.name == name:
            return one
    raise InvalidModel(f"model: {file} has the {kind}s {_list(described)}; see {said.place(key or f'{kind}.name')}")


def _list(described: Sequence[Described]) -> str:
    return ", ".join(map(_shown, described))


def _shown(one: Described) -> str:
    return f"{one.name!r} [{', '.join('n' if side is None else str(side) for side in one.shape)}]"
