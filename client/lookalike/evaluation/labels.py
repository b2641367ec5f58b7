"""What is evaluated on: a CSV file with the columns `path` and `label`, and the photos beside it."""

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
    """A photo and what it shows.

    Attributes:
        name: its path as the file has it.
        path: where it is.
        label: what other photos have to bear to be right.
        sha256: its file's hash.
    """

    name: str
    path: Path
    label: str
    sha256: bytes


@dataclass(frozen=True)
class LeftOut:
    """A photo that is not evaluated, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Labelled:
    """The photos of a file: each content once, as the searcher has it."""

    path: Path
    photos: tuple[Photo, ...]
    left_out: tuple[LeftOut, ...] = ()

    def without(self, left_out: Iterable[LeftOut]) -> "Labelled":
        """Without these photos. Raises InvalidRequestError: what is left cannot be evaluated."""
        further = tuple(left_out)
        gone = {one.name for one in further}
        photos = tuple(photo for photo in self.photos if photo.name not in gone)
        return _checked(Labelled(self.path, photos, self.left_out + further))


def read(path: Path, limit: int | None = None, seed: int = 0) -> Labelled:
    """The file's photos, or a sample of them. Their files are read, to be hashed.

    Args:
        path: of the CSV file. Its `path`s are relative to its folder; columns beside `path` and `label` are ignored.
        limit: at most so many photos of each label, at random.
        seed: of that choice.

    Raises:
        InvalidRequestError: INVALID_LABELS: it lacks a column or a value, names files that are not there, or has no two
            labels, or no two photos of any.
        OSError: it cannot be read.
    """
    rows = _rows(path)
    missing = [name for name, _ in rows if not (path.parent / name).is_file()]
    if missing:
        raise _refused(
            path,
            f"{len(missing):,} of its {len(rows):,} photos are not there, the first is {missing[0]}: paths are relative"
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
    """Path and label of each row."""
    try:
        with open(open_regular(path), encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if lacking:
                has = ", ".join(reader.fieldnames or ()) or "none"
                raise _refused(path, f"it has no column {' and no column '.join(lacking)}; its columns are: {has}")
            return list(_values(path, reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _refused(path, f"it is no CSV file: {error}") from error


def _values(path: Path, reader: "csv.DictReader[str]") -> Iterator[tuple[str, str]]:
    for row in reader:
        name, label = ((row[column] or "").strip() for column in _COLUMNS)
        if not name or not label:
            raise _refused(path, f"line {reader.line_num} has no {'label' if name else 'path'}")
        yield name, label


def _sampled(rows: Sequence[tuple[str, str]], limit: int | None, seed: int) -> list[tuple[str, str]]:
    """At most `limit` rows of each label, in their order."""
    if limit is None:
        return list(rows)
    choice = random.Random(seed)  # noqa: S311 - no secret
    places = defaultdict(list)
    for place, (_, label) in enumerate(rows):
        places[label].append(place)
    chosen = {place for own in places.values() for place in choice.sample(own, min(limit, len(own)))}
    return [row for place, row in enumerate(rows) if place in chosen]


def _checked(found: Labelled) -> Labelled:
    counts = Counter(photo.label for photo in found.photos)
    why = f" ({len(found.left_out):,} were left out, the first: {found.left_out[0].why})" if found.left_out else ""
    if not counts:
        raise _refused(found.path, f"it has no photos{why}")
    if len(counts) == 1:
        raise _refused(found.path, f"it has one label only, {next(iter(counts))}: nothing could be told apart{why}")
    if max(counts.values()) == 1:
        raise _refused(found.path, f"it has no two photos of the same label: nothing could be found{why}")
    return found


def _refused(path: Path, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path}: {why}", reason="INVALID_LABELS", code=grpc.StatusCode.INVALID_ARGUMENT)
