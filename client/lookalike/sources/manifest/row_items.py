"""Make the items of a row: one for each image that it names."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lookalike.constants import MAX_LABEL_NAME_BYTES, MAX_LABEL_VALUE_BYTES, MAX_LABELS
from lookalike.fetch import origin as origins
from lookalike.fetch import url as urls
from lookalike.fetch.local import is_local
from lookalike.records import Item, Origin
from lookalike.sources.folder import uri_of
from lookalike.sources.manifest.columns import PATH, URI, Columns
from lookalike.sources.manifest.row import Row

ORIGIN: Final = "_origin"
"""The column of a list of failures that names the item's first manifest, if that is not a file of this machine."""
PRIVATE: Final = "_private"
"""The column of a list of failures that tells whether the address of the first manifest is not public."""
_TRUE: Final = ("true", "1", "1.0", "yes", "t", "y")
_FALSE: Final = ("", "false", "0", "0.0", "no", "f", "n", "none")
_BETWEEN_URIS: Final = re.compile(r"\s*[,;|\s]\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
"""Matches what is between the URIs of a list: a separator that a scheme follows."""


class RowItems:
    """Make items of the rows of one manifest.

    Args:
        base: what relative URIs are relative to: the path or URL of a folder, or the http(s) URL of the manifest.
        origin: where the manifest comes from, if it is not a file of this machine.
    """

    def __init__(self, base: str, origin: Origin | None) -> None:
        self._base, self._origin = base, origin

    def items(self, row: Row, columns: Columns, dropped: list[str]) -> Iterator[Item]:
        """Yield an item for each image of the row.

        Args:
            row: the row.
            columns: which of its columns is which.
            dropped: a list to which a message is added for each label that is left out.

        Raises:
            ValueError: the row is not valid.
        """
        uris, paths = (
            [text for n in columns.places.get(role, ()) for text in _uris(role, row.values[n])] for role in (URI, PATH)
        )
        if not uris:
            raise ValueError("uri: must be text, got ''")
        if paths and len(paths) != len(uris):
            raise ValueError(f"path: must be one for each uri, got {len(paths)} of {len(uris)}")
        product, variant, staged = (self._field(row, columns, role) for role in ("product", "variant", "staged"))
        labels = _labels(row.values, columns, dropped)
        origin = self._origin or _own_origin(row, columns)
        for n, uri in enumerate(uris):
            yield Item(
                image=None,
                uri=uri if paths else self._absolute(uri),
                path=self._absolute(paths[n]) if paths else "",
                product=product,
                variant=variant,
                staged=_flag("staged", staged),
                labels=labels,
                origin=origin,
            )

    @staticmethod
    def _field(row: Row, columns: Columns, role: str) -> str:
        return next((_text(role, row.values[n]) for n in columns.places.get(role, ())), "")

    def _absolute(self, uri: str) -> str:
        if "://" in uri or is_local(uri):
            return uri
        base = self._base
        if origins.is_web(base):
            return urls.join(base, uri.replace("#", "%23"))  # an image has no fragments, but a file's name may have a #
        if "://" in base:
            return f"{base}/{uri.removeprefix('./')}"
        return uri_of(os.path.normpath(os.path.join(base, uri)))


def _uris(role: str, value: object) -> list[str]:
    """Return the URIs of a field: one, or a list. Raises ValueError."""
    if _is_absent(value):
        return []
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return [str(value)]
    if isinstance(value, str):
        return _BETWEEN_URIS.split(value)
    if isinstance(value, list) and all(isinstance(uri, str) and uri for uri in value):
        return list(value)
    raise ValueError(f"{role}: must be text, or a list of it, got {value!r:.60}")


def _labels(values: Sequence[Any], columns: Columns, dropped: list[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for name, place in columns.labels:
        try:
            text = _text(f"label {name!r:.80}", values[place])
            if not text:
                continue
            _check_size(f"label {name!r:.80}: its name", name, MAX_LABEL_NAME_BYTES)
            _check_size(f"label {name!r}", text, MAX_LABEL_VALUE_BYTES)
            if len(labels) >= MAX_LABELS:
                raise ValueError(f"label {name!r}: there must be at most {MAX_LABELS} labels")  # noqa: TRY301 - as above
            labels[name] = text
        except ValueError as error:
            dropped.append(str(error))
    return labels


def _check_size(what: str, text: str, limit: int) -> None:
    if (size := len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) > limit:
        raise ValueError(f"{what} must be at most {limit} bytes, got {size}")


def _own_origin(row: Row, columns: Columns) -> Origin | None:
    """Return the origin that the item had in the run in which it failed; None if it was this machine."""
    url, private = (
        _text(name, row.values[columns.private[name]]) if name in columns.private else "" for name in (ORIGIN, PRIVATE)
    )
    return Origin(url, _flag(PRIVATE, private)) if url else None


def _is_absent(value: object) -> bool:
    return value is None or value == "" or value != value  # NaN is not itself


def _text(name: str, value: object) -> str:
    """Return the text of a value; a whole number of floating point is an integer. Raises ValueError."""
    if _is_absent(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict | list | tuple | bytes):
        raise ValueError(f"{name}: must be text or a number, got {value!r:.60}")  # noqa: TRY004 - callers expect ValueError
    return str(value)


def _flag(name: str, value: str) -> bool:
    text = value.strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{name}: must be true or false, got {value!r}")
