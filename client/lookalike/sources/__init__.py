"""What a command line names as sources: folders, globs, image files, manifests, URLs, standard input."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lookalike.errors import LookalikeError, UnreadableImageError
from lookalike.fetch import local
from lookalike.records import Item, Outcome, Status
from lookalike.sources import folder, manifest, store
from lookalike.sources.folder import ProductFrom
from lookalike.sources.manifest import Format

__all__ = ["Format", "ProductFrom", "Sources"]

STANDARD_INPUT: Final = "-"


@dataclass
class Sources:
    """The items of all sources, one source after the other.

    Attributes:
        names: the sources.
        form: how manifests are written.
        product_from: what the products of files are called after; manifests say it themselves.
        failures: of what could not be listed: folders, and rows of manifests. They grow as the items are taken.
    """

    names: Sequence[str]
    form: Format = Format.AUTO
    product_from: ProductFrom = ProductFrom.NONE

    def __post_init__(self) -> None:
        """Nothing has failed yet."""
        self.failures: list[Outcome] = []

    def check(self) -> None:
        """Raise FileNotFoundError if a source is not there."""
        for name in map(_path, self.names):
            if "://" not in name and name != STANDARD_INPUT and not glob.has_magic(name) and not Path(name).exists():
                raise FileNotFoundError(f"{name} does not exist")

    def again(self) -> bool:
        """Whether the items can be had a second time, and without waiting: not from standard input."""
        return STANDARD_INPUT not in self.names

    def may_wait(self) -> bool:
        """Whether somebody else may keep us waiting for the items: who writes to standard input, a host or a store."""
        return any(name == STANDARD_INPUT or "://" in name for name in map(_path, self.names))

    def items(self) -> Iterator[Item]:
        """Yield the items.

        Raises:
            FileNotFoundError: a source does not exist.
            InvalidRequestError: a manifest is none.
        """
        self.check()
        for name in self.names:
            yield from self._of(_path(name))

    def _of(self, name: str) -> Iterator[Item]:
        if name == STANDARD_INPUT:
            return manifest.binary_items(_standard_input(), self.form, "standard input", str(Path.cwd()), self._failed)
        if "://" in name:
            if (form := self._form(name)) and not store.is_several(name):
                return store.manifest_items(name, form, self._failed)
            return (Item(None, uri) for uri in store.uris(name))
        if os.path.isdir(name):
            return self._files(folder.image_files(name, self._folder_failed))
        if (form := self._form(name)) and os.path.isfile(name):
            return manifest.file_items(name, form, self._failed)
        if os.path.exists(name):
            return self._files(iter([os.path.realpath(name)]))
        return self._files(folder.matching(name))

    def _form(self, name: str) -> Format | None:
        """How the source is written, if it is a manifest."""
        return manifest.format_of(name) if self.form is Format.AUTO else self.form

    def _files(self, paths: Iterator[str]) -> Iterator[Item]:
        return (folder.item(path, self.product_from) for path in paths)

    def _folder_failed(self, error: OSError) -> None:
        message = f"cannot read {error.filename}: {error.strerror}"
        self._failed(str(error.filename), UnreadableImageError(message, reason="UNREADABLE"))

    def _failed(self, place: str, error: LookalikeError) -> None:
        self.failures.append(Outcome(place, Status.FAILED, error))


def _path(name: str) -> str:
    """The path of a URL of a local file; any other name as it is."""
    return local.path_of(name) if local.is_local(name) else name


def _standard_input() -> IO[bytes]:
    """Not `sys.stdin`, which Python could not close while a thread waits for it."""
    return open(0, "rb", closefd=False)
