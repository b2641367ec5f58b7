"""Read the TOML beside an ONNX file: what the model sees of a picture, how its output becomes a vector, its words."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike_embedder.errors import InvalidModel
from lookalike_embedder.onnx_model.rules import RULES, TEXT_RULES
from lookalike_embedder.preprocessing import Preprocessing


@dataclass(frozen=True)
class TextSettings:
    """The text settings are the table `[text]`: the second ONNX file, its tokenizer, and how the two meet.

    Attributes:
        model: the ONNX file.
        tokenizer: the tokenizer's file.
        input_name: the input for tokens.
        mask_name: the input that tells tokens from padding; empty: there is none.
        output_name: the output with the vectors.
        max_tokens: the most tokens of a text.
        padding: the token that texts are filled up with to that length; None: they are not.
    """

    model: Path
    tokenizer: Path
    input_name: str
    mask_name: str
    output_name: str
    max_tokens: int
    padding: int | None

    @property
    def recipe(self) -> str:
        """Return what changes a vector beside the two files."""
        length = "" if self.padding is None else f",{self.max_tokens}x{self.padding}"
        return f"text,{self.input_name},{self.mask_name},{self.output_name}{length}"


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
    text_encoder: TextSettings | None

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
        text_encoder=_text_settings(file.parent, values) if "text" in document else None,
    )


def _text_settings(folder: Path, values: dict[str, Any]) -> TextSettings:
    return TextSettings(
        model=folder / values["text.model"],
        tokenizer=folder / values["text.tokenizer"],
        input_name=values["text.input"],
        mask_name=values["text.mask"] or "",
        output_name=values["text.output"],
        max_tokens=values["text.tokens"],
        padding=values["text.padding"],
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
    known = RULES | TEXT_RULES
    if unknown := next((key for key in flat if key not in known), None):
        raise InvalidModel(f"{place(file, text, unknown)}: is not known; known are {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, rule in (known if "text" in document else RULES).items():
        if (value := flat.get(key, rule.default)) is None:
            if rule.optional:
                values[key] = None
                continue
            raise InvalidModel(f"{place(file, text, key)}: is missing; it must be {rule.expected}")
        if not rule.accepts(value):
            raise InvalidModel(f"{place(file, text, key)}: must be {rule.expected}")
        values[key] = value
    return values
