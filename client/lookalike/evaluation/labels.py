"""Read the labelled photos of an evaluation: a CSV file with the columns `path` and `label`, and the photo files."""

import csv
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from lookalike._operations.photo import read as read_photo
from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.regular_file import open_regular

_COLUMNS: Final = ("path", "label")


@dataclass(frozen=True)
class Photo:
    """A photo is an image file with a label.

    Attributes:
        name: the photo's path, as the CSV file has it.
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
    """Labelled holds the photos of a CSV file; photos with the same bytes are one photo, as in the searcher."""

    path: Path
    photos: tuple[Photo, ...]
    left_out: tuple[LeftOut, ...] = ()

    def without(self, left_out: Iterable[LeftOut]) -> "Labelled":
        """Leave out these photos too. Raises InvalidRequestError if the remaining photos cannot be evaluated."""
        added = tuple(left_out)
        names = {photo.name for photo in added}
        photos = tuple(photo for photo in self.photos if photo.name not in names)
        return _checked(Labelled(self.path, photos, self.left_out + added))


def read(path: Path, limit: int | None = None, seed: int = 0) -> Labelled:
    """Read the photos of a CSV file, or a sample of them. The image files are read to compute their hashes.

    Args:
        path: the CSV file. The column `path` is relative to its folder; columns beside `path` and `label` are ignored.
        limit: the most photos of each label, which are chosen at random; None reads all.
        seed: the seed of the random choice.

    Raises:
        InvalidRequestError: INVALID_LABELS: a column or a value is missing, an image file does not exist, there are
            fewer than two labels, or no label has two photos.
        OSError: the CSV file cannot be read.
    """
    rows = _rows(path)
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


def _rows(path: Path) -> list[tuple[str, str]]:
    """Return path and label of each row."""
    try:
        with open(open_regular(path), encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                columns = ", ".join(reader.fieldnames or ()) or "none"
                raise _refused(path, f"it has no column {' and no column '.join(missing)}; its columns are: {columns}")
            return list(_values(path, reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _refused(path, f"it is not a CSV file: {error}") from error


def _values(path: Path, reader: "csv.DictReader[str]") -> Iterator[tuple[str, str]]:
    for row in reader:
        name, label = ((row[column] or "").strip() for column in _COLUMNS)
        if not name or not label:
            raise _refused(path, f"line {reader.line_num} has no {'label' if name else 'path'}")
        yield name, label


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
    return InvalidRequestError(f"{path}: {why}", reason="INVALID_LABELS", code=grpc.StatusCode.INVALID_ARGUMENT)
