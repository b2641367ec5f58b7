"""Read items from the sources of a command line: folders, globs, image files, manifests, URLs, standard input."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from lookalike.errors import LookalikeError, UnreadableImageError
from lookalike.fetch import local
from lookalike.records import Item
from lookalike.sources import folder, manifest, store
from lookalike.sources.findings import Findings, Note
from lookalike.sources.folder import ProductFrom
from lookalike.sources.manifest import Format

__all__ = ["Findings", "Format", "Note", "ProductFrom", "Sources"]

STANDARD_INPUT: Final = "-"


@dataclass
class Sources:
    """Read the items of all sources, one source after the other.

    Attributes:
        names: the sources, as the command line names them.
        form: the format of manifests.
        product_from: which part of a file's path names its product; a manifest has a column for that.
        columns: for each of our columns, or for a label, the manifests' column that it is read from.
        encoding: the encoding of manifests; empty: UTF-8, or what a byte order mark says.
        strict: whether a row is refused where something would be left out of it.
        findings: what could not be read, and what was left out; it grows as items are taken.
    """

    names: Sequence[str]
    form: Format = Format.AUTO
    product_from: ProductFrom = ProductFrom.NONE
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    strict: bool = False
    findings: Findings = field(default_factory=Findings)

    def again(self) -> "Sources":
        """Return the same sources, which have found nothing yet."""
        return replace(self, findings=Findings())

    def check(self) -> None:
        """Raise FileNotFoundError if a source does not exist."""
        for name in map(_path, self.names):
            if "://" not in name and name != STANDARD_INPUT and not glob.has_magic(name) and not Path(name).exists():
                raise FileNotFoundError(f"{name} does not exist")

    def is_repeatable(self) -> bool:
        """Return whether the items can be read a second time, which standard input does not allow."""
        return STANDARD_INPUT not in self.names

    def may_block(self) -> bool:
        """Return whether reading the items may block for long: from standard input, a host or a store."""
        return any(name == STANDARD_INPUT or "://" in name for name in map(_path, self.names))

    def items(self) -> Iterator[Item]:
        """Yield the items of all sources. Of several sources, one that cannot be read is a failure.

        Raises:
            FileNotFoundError: a source does not exist.
            InvalidRequestError: the only source is a manifest that cannot be parsed.
            OSError: the only source cannot be read.
        """
        self.check()
        for name in self.names:
            self.findings.place = ""
            try:
                yield from self._items_of(_path(name))
            except (LookalikeError, OSError) as error:
                if len(self.names) == 1:
                    raise
                unreadable = UnreadableImageError(f"cannot read {name}: {error}", reason="UNREADABLE")
                self.findings.fail(name, error if isinstance(error, LookalikeError) else unreadable)

    def _items_of(self, name: str) -> Iterator[Item]:
        found = self.findings
        if name == STANDARD_INPUT:
            file, base = _standard_input(), str(Path.cwd())
            return manifest.binary_items(file, "standard input", base, self._options(self.form), found)
        if "://" in name:
            if (form := self._form(name)) and not store.is_listing(name):
                return store.manifest_items(name, self._options(form), found)
            return (Item(None, uri) for uri in store.uris(name, found.pass_over))
        if os.path.isdir(name):
            return self._files(folder.image_files(name, self._file_failed, found.pass_over))
        if (form := self._form(name)) and os.path.isfile(name):
            return manifest.file_items(name, self._options(form), found)
        if os.path.exists(name):
            return self._files(iter([os.path.realpath(name)]))
        return self._files(folder.matching(name, self._file_failed, found.pass_over))

    def _form(self, name: str) -> Format | None:
        """Return the format of the source if it is a manifest, else None."""
        return manifest.format_of(name) if self.form is Format.AUTO else self.form

    def _options(self, form: Format) -> manifest.Options:
        return manifest.Options(form, self.columns, self.encoding, self.strict)

    def _files(self, paths: Iterator[str]) -> Iterator[Item]:
        return (folder.item(path, self.product_from) for path in paths)

    def _file_failed(self, error: OSError) -> None:
        message = f"cannot read {error.filename}: {error.strerror}"
        if os.path.islink(error.filename):
            message += f"; it is a link to {os.readlink(error.filename)}"
        self.findings.fail(str(error.filename), UnreadableImageError(message, reason="UNREADABLE"))


def _path(name: str) -> str:
    """Return the path of a local file's URL, and any other name unchanged."""
    return local.path_of(name) if local.is_local(name) else name


def _standard_input() -> IO[bytes]:
    """Open standard input a second time: Python could not close `sys.stdin` while a thread reads from it."""
    return open(0, "rb", closefd=False)
