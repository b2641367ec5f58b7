"""Read product feeds in XML, RSS and Atom, item by item."""

from typing import IO, Any, Final
from xml.parsers import expat

from lookalike.sources.manifest.row import Row, Rows, invalid_manifest

_ITEMS: Final = ("item", "entry")
_GOOGLE: Final = "http://base.google.com/ns/1.0"
_CHUNK: Final = 64 * 1024
_MAX_ITEM: Final = 1024 * 1024
"""Characters of one item."""


def rows(file: IO[bytes], name: str) -> Rows:
    """Yield a row for each item, with its elements that hold text. Raises InvalidRequestError."""
    items = _Items()
    is_empty, chunk = True, b" "
    while chunk:
        chunk = file.read(_CHUNK)
        try:
            items.parser.Parse(chunk, not chunk)
        except (expat.ExpatError, _Refused) as error:
            yield from items.take()
            raise invalid_manifest(name, f"line {items.parser.CurrentLineNumber} is not XML: {error}") from error
        for row in items.take():
            is_empty = False
            yield row
    if is_empty:
        raise invalid_manifest(name, "it has no <item> of RSS and no <entry> of Atom")


class _Refused(Exception):
    """The document has something that is refused."""


class _Items:
    """Collect the items of a document that is parsed in parts."""

    def __init__(self) -> None:
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = _refuse
        self._rows: list[Row] = []
        self._depth = 0  # in an item: 1 in the item itself, 2 in one of its elements
        self._line = self._size = 0
        self._fields: list[tuple[str, str]] = []
        self._parts: list[str] = []

    def take(self) -> list[Row]:
        """Return the items that have ended since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, _: object) -> None:
        if self._depth:
            self._depth += 1
        elif _local(name) in _ITEMS:
            self._depth, self._fields, self._line, self._size = 1, [], self.parser.CurrentLineNumber, 0
        self._parts = []

    def _text(self, text: str) -> None:
        self._size += len(text)
        if self._depth == 2 and self._size <= _MAX_ITEM:
            self._parts.append(text)

    def _end(self, name: str) -> None:
        if self._depth == 2 and (text := "".join(self._parts).strip()):
            self._fields.append((name, text))
        self._parts = []
        if self._depth == 1:
            self._rows.append(self._row())
        self._depth = max(0, self._depth - 1)

    def _row(self) -> Row:
        if self._size > _MAX_ITEM:
            return Row(self._line, error=f"has more than {_MAX_ITEM} characters")
        of_google = {_local(name) for name, _ in self._fields if name.startswith(_GOOGLE)}
        kept = [
            (_local(name), text)
            for name, text in self._fields
            if name.startswith(_GOOGLE) or _local(name) not in of_google  # RSS has a title and a link of its own
        ]
        return Row(self._line, tuple(name for name, _ in kept), [text for _, text in kept])


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse(*_: Any) -> None:  # noqa: ANN401 - expat's own
    raise _Refused("entities are refused")
