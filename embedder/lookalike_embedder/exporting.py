"""Write a network of timm or torchvision as an ONNX file with its TOML, and prove that it computes the same."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.errors import InvalidImage, InvalidModel, Unsupported
from lookalike_embedder.image import Limits, Pixels, decode
from lookalike_embedder.preprocessing import Preprocessing

if TYPE_CHECKING:
    from lookalike_embedder.model.originals import Original
    from lookalike_embedder.onnx_model.compute import OnnxModel

MIN_COSINE: Final = 0.9999
"""A vector of the ONNX file and the original's, of the same pixels, have at least this cosine."""
MIN_COSINE_INT8: Final = 0.98
"""A vector of an int8 file and the original's have at least this cosine. MobileNetV3 of random weights has .985."""


@dataclass(frozen=True)
class Photo:
    """A photo is its file, and what the model sees of it."""

    file: Path
    pixels: Pixels


@dataclass(frozen=True)
class Exported:
    """The exported model has proven itself on some photos.

    Attributes:
        file: the ONNX file.
        photos: how many photos it was compared on.
        worst_cosine: to the original, of the same pixels.
        worst_author_cosine: to the original with its author's own preprocessing; None if the library has none.
        dimensions: how many numbers a vector has.
    """

    file: Path
    photos: int
    worst_cosine: float
    worst_author_cosine: float | None
    dimensions: int


def photos_of(folder: Path, limits: Limits, preprocessing: Preprocessing) -> Iterator[Photo]:
    """Yield what can be decoded of a folder's files."""
    for file in sorted(folder.iterdir()):
        with suppress(InvalidImage, OSError):
            yield Photo(file, decode(file.read_bytes(), limits=limits, preprocessing=preprocessing)[1])


def export(original: "Original", file: Path, photos: list[Photo], *, int8: bool, min_cosine: float | None) -> Exported:
    """Write a network as an ONNX file, with its TOML beside it, once it has proven itself on the photos.

    Args:
        original: the network.
        file: where to write; it ends in .onnx.
        photos: photos to compare the vectors of, and to calibrate int8 with.
        int8: whether to quantise.
        min_cosine: the least cosine to the original that is accepted; None: MIN_COSINE, or MIN_COSINE_INT8.

    Raises:
        InvalidModel: the exported network does not compute what the original does, or cannot be served.
    """
    from lookalike import atomic_file
    from lookalike_embedder.onnx_model import compute, proof
    from lookalike_embedder.onnx_model.quantisation import quantise

    least = min_cosine if min_cosine is not None else (MIN_COSINE_INT8 if int8 else MIN_COSINE)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:  # beside it, so that it can be moved
        made = Path(folder) / file.name
        original.write(made)
        atomic_file.write(made.with_suffix(".toml"), toml_of(original, int8=int8))
        model = compute.load(made, "cpu")
        if int8:
            quantised = Path(folder) / f"int8-{file.name}"
            quantise(made, quantised, model.said.input_name, list(model.input([photo.pixels for photo in photos])))
            quantised.replace(made)
            model = compute.load(made, "cpu")
        exported = Exported(file, len(photos), *_worst(original, model, photos), proof.dimensions(model))
        if not exported.worst_cosine >= least:
            raise InvalidModel(
                f"export: the worst cosine to the original over {len(photos)} photos is {exported.worst_cosine:.5f}, at"
                f" least {least} is needed; nothing was written"
            )
        os.replace(made.with_suffix(".toml"), file.with_suffix(".toml"))
        os.replace(made, file)
    return exported


def toml_of(original: "Original", *, int8: bool) -> str:
    """Return the TOML of an exported network."""
    from lookalike_embedder.model.originals import INPUT, OUTPUT

    sees = original.preprocessing
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in original.name.lower())
    lines = [
        f"name = {json.dumps(name + '-int8' * int8)}",
        f"licence = {json.dumps(original.licence)}",
        "",
        "[input]",
        f'name = "{INPUT}"',
        f"size = {sees.size}",
        f'resize = "{"squash" if sees.crop is None else "crop"}"',
        *([f"crop = {sees.crop!r}"] if sees.crop is not None else []),
        f'interpolation = "{"bicubic" if sees.bicubic else "bilinear"}"',
        'channels = "rgb"',
        f"mean = {[float(value) for value in original.mean]}",
        f"std = {[float(value) for value in original.std]}",
        "",
        "[output]",
        f'name = "{OUTPUT}"',
        'pooling = "none"',
        'normalisation = "l2"',
    ]
    return "\n".join(lines) + "\n"


def _worst(original: "Original", model: "OnnxModel", photos: list[Photo]) -> tuple[float, float | None]:
    """Return the worst cosine of the same pixels, and of the same files with the author's own preprocessing."""
    same, author = [], []
    for photo in photos:
        found = model([photo.pixels])
        same.append(_cosine(found, original.vectors(model.input([photo.pixels]))))
        if original.transform:
            from PIL import Image

            with Image.open(photo.file) as picture:
                scaled = original.transform(picture.convert("RGB"))[None].numpy()
            author.append(_cosine(found, original.vectors(scaled)))
    return min(same), min(author, default=None)


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float((first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second)))


def source_of(source: str) -> tuple[str, str]:
    """Return the library and the name of a source like `timm:NAME`. Raises Unsupported."""
    library, _, name = source.partition(":")
    if source != "vgg16" and (library not in ("timm", "torchvision") or not name):
        raise Unsupported(f"source: must be timm:NAME, torchvision:NAME or vgg16, got {source!r}")
    return library, name
