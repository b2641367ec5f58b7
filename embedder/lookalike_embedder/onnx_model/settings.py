"""Read the TOML beside an ONNX file: what the model sees of a picture, and how its output becomes a vector."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from lookalike_embedder.errors import InvalidModel
from lookalike_embedder.preprocessing import Preprocessing

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
MAX_SIZE: Final = 2048
MAX_BATCH_SIZE: Final = 1024


@dataclass(frozen=True)
class Settings:
    """The settings are what the TOML says; `docs/models.md` explains each."""

    file: Path
    text: str
    name: str
    licence: str
    input_name: str
    preprocessing: Preprocessing
    channels: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output_name: str
    pooling: str
    normalisation: str
    max_batch_size: int

    @property
    def recipe(self) -> str:
        """Return what changes a vector: a comment, the licence or the limit of a batch does not."""
        return "|".join(
            (
                self.preprocessing.recipe,
                f"{self.input_name},{self.channels},mean{self.mean},std{self.std}",
                f"{self.output_name},{self.pooling},{self.normalisation}",
            )
        )

    def place(self, key: str) -> str:
        """Return where a key is in the file, for messages: its file, its line, and the line itself."""
        return place(self.file, self.text, key)


class _Rule(NamedTuple):
    """A value must pass `accepts`; `expected` says in words what does. Without a default, the key must be there."""

    accepts: Callable[[Any], bool]
    expected: str
    default: object = None


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _three(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) == 3 and all(map(accepts, value))


_RULES: Final = {
    "name": _Rule(
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "1 to 100 of a-z, 0-9, '.', '_' and '-', which begin the name of the space",
    ),
    "licence": _Rule(_text, "the licence of the weights, for example 'Apache-2.0'"),
    "input.name": _Rule(_text, "the name of an input of the model"),
    "input.size": _Rule(_whole(1, MAX_SIZE), f"the side of the square that the model sees, 1 to {MAX_SIZE} pixels"),
    "input.resize": _Rule(_one_of("squash", "crop"), "'squash' or 'crop'"),
    "input.crop": _Rule(lambda value: _number(value) and 0 < value <= 1, "a share of the shorter side, up to 1", 1.0),
    "input.interpolation": _Rule(_one_of("bilinear", "bicubic"), "'bilinear' or 'bicubic'"),
    "input.channels": _Rule(_one_of("rgb", "bgr"), "'rgb' or 'bgr'"),
    "input.mean": _Rule(_three(_number), "three numbers, for red, green and blue in 0 to 1"),
    "input.std": _Rule(
        _three(lambda value: _number(value) and value > 0), "three numbers above 0, for red, green and blue in 0 to 1"
    ),
    "output.name": _Rule(_text, "the name of an output of the model"),
    "output.pooling": _Rule(_one_of("none", "first", "mean", "max"), "'none', 'first', 'mean' or 'max'"),
    "output.normalisation": _Rule(_one_of("l2", "none"), "'l2' or 'none'", "l2"),
    "limits.max_batch_size": _Rule(_whole(1, MAX_BATCH_SIZE), f"1 to {MAX_BATCH_SIZE}", 64),
}


def read(file: Path) -> Settings:
    """Return the settings in a TOML file.

    Raises:
        InvalidModel: the file cannot be read, or a line of it is wrong.
    """
    try:
        text = file.read_text()
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"model: cannot read {file}, which must lie beside the ONNX file: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidModel(f"{file}: {error}") from error
    values = _checked(file, text, document)
    crops = values["input.resize"] == "crop"
    if not crops and "crop" in document["input"]:
        raise InvalidModel(f"{place(file, text, 'input.crop')}: must be left out where resize is 'squash'")
    return Settings(
        file=file,
        text=text,
        name=values["name"],
        licence=values["licence"],
        input_name=values["input.name"],
        preprocessing=Preprocessing(
            values["input.size"],
            float(values["input.crop"]) if crops else None,
            bicubic=values["input.interpolation"] == "bicubic",
        ),
        channels=values["input.channels"],
        mean=tuple(map(float, values["input.mean"])),
        std=tuple(map(float, values["input.std"])),
        output_name=values["output.name"],
        pooling=values["output.pooling"],
        normalisation=values["output.normalisation"],
        max_batch_size=values["limits.max_batch_size"],
    )


def place(file: Path, text: str, key: str) -> str:
    """Return where a dotted key is in a TOML file; the table's line, or the file alone, if it is not there."""
    table, _, name = key.rpartition(".")
    current, found = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            current = header[1]
            if current in (table, key):
                found = found or f", line {number}"
        elif current == table and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f"{file}, line {number}: {line.strip()}"
    return f"{file}{found}: {key}"


def _checked(file: Path, text: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the value of each rule's key."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    if unknown := next((key for key in flat if key not in _RULES), None):
        raise InvalidModel(f"{place(file, text, unknown)}: is not known; known are {', '.join(_RULES)}")
    values = {}
    for key, rule in _RULES.items():
        if (value := flat.get(key, rule.default)) is None:
            raise InvalidModel(f"{place(file, text, key)}: is missing; it must be {rule.expected}")
        if not rule.accepts(value):
            raise InvalidModel(f"{place(file, text, key)}: must be {rule.expected}")
        values[key] = value
    return values
