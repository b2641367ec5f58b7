"""Read the labelled photos of an evaluation: a manifest, as `index` reads it, and the photo files."""

import hashlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grpc

from lookalike._operations.photo import read as read_photo
from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.fetch.local import is_local, path_of
from lookalike.sources import Findings, Format
from lookalike.sources.manifest import Options, file_items, format_of

_INVALID: Final = "INVALID_LABELS"
_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Photo:
    """A photo is an image file with a label.

    Attributes:
        name: the photo's path, relative to the folder of the manifest.
        path: the path of the image file.
        label: the label; other photos with the same label are right hits.
        sha256: the hash of the image file.
    """

    name: str
    path: Path
    label: str
    sha256: bytes


@dataclass(frozen=True)
class LeftOut:
    """LeftOut names a photo that is left out of the evaluation, and the reason."""

    name: str
    why: str


@dataclass(frozen=True)
class Labelled:
    """Labelled holds the photos of a manifest; photos with the same bytes are one photo, as in the searcher."""

    path: Path
    photos: tuple[Photo, ...]
    left_out: tuple[LeftOut, ...] = ()

    def without(self, left_out: Iterable[LeftOut]) -> "Labelled":
        """Leave out these photos too. Raises InvalidRequestError if the remaining photos cannot be evaluated."""
        added = tuple(left_out)
        names = {photo.name for photo in added}
        photos = tuple(photo for photo in self.photos if photo.name not in names)
        return _checked(Labelled(self.path, photos, self.left_out + added))


def read(path: Path, limit: int | None = None, seed: int = 0, columns: Mapping[str, str] = _COLUMNS) -> Labelled:
    """Read the photos of a manifest, or a sample of them. The image files are read to compute their hashes.

    Args:
        path: the manifest. A photo is read from `path`, or else from `uri`; its label is `label`, or else `product`.
        limit: the most photos of each label, which are chosen at random; None reads all.
        seed: the seed of the random choice.
        columns: for each of these columns, the manifest's column that it is read from.

    Raises:
        InvalidRequestError: INVALID_LABELS: a column or a value is missing, an image file does not exist, there are
            fewer than two labels, or no label has two photos.
        OSError: the manifest cannot be read.
    """
    rows = _rows(path, columns)
    missing = [name for name, _ in rows if not (path.parent / name).is_file()]
    if missing:
        raise _refused(
            path,
            f"{len(missing):,} of its {len(rows):,} photos do not exist, the first is {missing[0]}: paths are relative"
            f" to {path.parent.resolve()}",
        )
    photos, left_out = [], []
    first: dict[bytes, Photo] = {}
    for name, label in _sampled(rows, limit, seed):
        try:
            photo = Photo(name, path.parent / name, label, hashlib.sha256(read_photo(path.parent / name)).digest())
        except LookalikeError as error:
            left_out.append(LeftOut(name, str(error)))
            continue
        if same := first.get(photo.sha256):
            other = "" if same.label == label else f", which has another label: {same.label}"
            left_out.append(LeftOut(name, f"the same file as {same.name}{other}"))
        else:
            first[photo.sha256] = photo
            photos.append(photo)
    return _checked(Labelled(path, tuple(photos), tuple(left_out)))


def _rows(path: Path, columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return path and label of each row."""
    findings = Findings()
    form = format_of(path.name) or Format.AUTO
    rows: list[tuple[str, str]] = []
    try:
        for item in file_items(str(path), Options(form, columns), findings):
            line = findings.place.rpartition(":")[2]
            if not (label := item.labels.get("label") or item.product):
                raise _refused(path, f"line {line} has no label, and no product")
            if not is_local(item.location):
                raise _refused(path, f"line {line}: {item.location} is not a file of this machine")
            rows.append((_name(path_of(item.location), path), label))
    except InvalidRequestError as error:
        raise InvalidRequestError(str(error), reason=_INVALID, code=grpc.StatusCode.INVALID_ARGUMENT) from error
    if findings.failures:
        raise InvalidRequestError(
            str(findings.failures[0].error), reason=_INVALID, code=grpc.StatusCode.INVALID_ARGUMENT
        )
    return rows


def _name(photo: str, path: Path) -> str:
    """Return a photo's path relative to the folder of the file, if it is below that."""
    folder = os.path.realpath(path.parent)
    return os.path.relpath(photo, folder) if photo.startswith(f"{folder}{os.sep}") else photo


def _sampled(rows: Sequence[tuple[str, str]], limit: int | None, seed: int) -> list[tuple[str, str]]:
    """Return at most `limit` rows of each label, in their order."""
    if limit is None:
        return list(rows)
    choice = random.Random(seed)  # noqa: S311 - no secret
    places = defaultdict(list)
    for place, (_, label) in enumerate(rows):
        places[label].append(place)
    chosen = {place for of_label in places.values() for place in choice.sample(of_label, min(limit, len(of_label)))}
    return [row for place, row in enumerate(rows) if place in chosen]


def _checked(labelled: Labelled) -> Labelled:
    counts = Counter(photo.label for photo in labelled.photos)
    left_out = labelled.left_out
    why = f" ({len(left_out):,} were left out, the first: {left_out[0].why})" if left_out else ""
    if not counts:
        raise _refused(labelled.path, f"it has no photos{why}")
    if len(counts) == 1:
        raise _refused(labelled.path, f"it has one label only, {next(iter(counts))}: nothing could be told apart{why}")
    if max(counts.values()) == 1:
        raise _refused(labelled.path, f"it has no two photos of the same label: nothing could be found{why}")
    return labelled


def _refused(path: Path, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path}: {why}", reason=_INVALID, code=grpc.StatusCode.INVALID_ARGUMENT)
