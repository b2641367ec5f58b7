"""Say which keys the TOML beside an ONNX file may have, and which values."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
MAX_SIZE: Final = 2048
MAX_BATCH_SIZE: Final = 1024
MAX_TOKENS: Final = 4096


class Rule(NamedTuple):
    """A value must pass `accepts`; `expected` says in words what does.

    Without a default, the key must be there, unless it is `optional`.
    """

    accepts: Callable[[Any], bool]
    expected: str
    default: object = None
    optional: bool = False


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _file_name(value: object) -> bool:
    return _text(value) and Path(str(value)).name == value


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _three(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) == 3 and all(map(accepts, value))


RULES: Final = {
    "name": Rule(
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "1 to 100 of a-z, 0-9, '.', '_' and '-', which begin the name of the space",
    ),
    "licence": Rule(_text, "the licence of the weights, for example 'Apache-2.0'"),
    "input.name": Rule(_text, "the name of an input of the model"),
    "input.size": Rule(_whole(1, MAX_SIZE), f"the side of the square that the model sees, 1 to {MAX_SIZE} pixels"),
    "input.resize": Rule(_one_of("squash", "crop"), "'squash' or 'crop'"),
    "input.crop": Rule(lambda value: _number(value) and 0 < value <= 1, "a share of the shorter side, up to 1", 1.0),
    "input.interpolation": Rule(_one_of("bilinear", "bicubic"), "'bilinear' or 'bicubic'"),
    "input.channels": Rule(_one_of("rgb", "bgr"), "'rgb' or 'bgr'"),
    "input.mean": Rule(_three(_number), "three numbers, for red, green and blue in 0 to 1"),
    "input.std": Rule(
        _three(lambda value: _number(value) and value > 0), "three numbers above 0, for red, green and blue in 0 to 1"
    ),
    "output.name": Rule(_text, "the name of an output of the model"),
    "output.pooling": Rule(_one_of("none", "first", "mean", "max"), "'none', 'first', 'mean' or 'max'"),
    "output.normalisation": Rule(_one_of("l2", "none"), "'l2' or 'none'", "l2"),
    "limits.max_batch_size": Rule(_whole(1, MAX_BATCH_SIZE), f"1 to {MAX_BATCH_SIZE}", 64),
}
TEXT_RULES: Final = {
    "text.model": Rule(_file_name, "the name of an ONNX file beside this one"),
    "text.tokenizer": Rule(_file_name, "the name of a file of the library tokenizers beside this one"),
    "text.input": Rule(_text, "the name of the input for tokens"),
    "text.mask": Rule(_text, "the name of the input that is 1 for a token and 0 for padding", optional=True),
    "text.output": Rule(_text, "the name of the output with the vectors"),
    "text.tokens": Rule(_whole(1, MAX_TOKENS), f"the most tokens of a text, 1 to {MAX_TOKENS}"),
    "text.padding": Rule(_whole(0, 2**31 - 1), "the number of the token that fills up a text", optional=True),
}
