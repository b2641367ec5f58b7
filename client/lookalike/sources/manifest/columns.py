"""Find out which column of a manifest is which, by their names."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

URI: Final = "uri"
PATH: Final = "path"
ROLES: Final = (URI, PATH, "product", "variant", "staged")
"""Our columns; every other one is a label."""
_SEVERAL: Final = (URI, PATH)
"""Columns of which there may be several: uri_1, uri_2, …"""
_NEAR: Final = 0.83
"""The least ratio of difflib for a near miss: it takes `prodcut`, `product_id` and `stages`, not `product_type`."""
_PICTURE: Final = re.compile(r"ur[il]|im[aá]g|immag|img|photo|foto|picture|bild|afbeelding|src|link|path|file").search
"""Finds, in the name of a column, that it may be the one of the images, also in other languages' exports."""
_NUMBER: Final = re.compile(r"[ _-]?\d+").fullmatch


class ColumnError(ValueError):
    """The columns do not make a manifest; the message says which name is likely."""


@dataclass(frozen=True)
class Columns:
    """Columns say at which places of a row its fields are.

    Attributes:
        places: for each role that there is, the places of its columns.
        labels: name and place of each label.
        private: name and place of each column whose name begins with `_`.
    """

    places: Mapping[str, tuple[int, ...]]
    labels: tuple[tuple[str, int], ...]
    private: Mapping[str, int]


def fold(name: str) -> str:
    """Return the name as names are compared: without blanks around it, in lower case."""
    return name.strip().casefold()


def known_count(names: Iterable[str], known: frozenset[str]) -> int:
    """Return how many of the names are those of our columns, or of other known ones."""
    folded = [fold(name) for name in names]
    return sum(name in ROLES or name in known or _is_numbered(name, URI) for name in folded)


def may_be_header(names: Sequence[str], known: frozenset[str]) -> bool:
    """Return whether the fields of a file's first line are names of columns, and not URIs."""
    folded = [fold(name) for name in names]
    if any(name == URI or _is_numbered(name, URI) or name in known for name in folded):
        return True
    if len(folded) == 1:
        return bool(re.fullmatch(r"(?:image|photo|picture)?[ _-]?(?:ur[il]s?|link|src)", folded[0]))
    return not any(re.search(r"[/.:\\]", name) for name in folded)


@lru_cache(maxsize=256)
def resolve(names: tuple[str, ...], mapping: tuple[tuple[str, str], ...], *, fixed: bool) -> Columns:
    """Return which of the columns is which.

    Args:
        names: the names of a row's columns.
        mapping: pairs of a role, or of a label's name, and the column that it is read from.
        fixed: whether all rows have these columns, so that what is missing is a mistake.

    Raises:
        ColumnError: there is no column `uri`, a column is there twice, or its name is nearly one of ours.
    """
    sources = dict(mapping)
    mapped = {fold(source) for source in sources.values()}
    folded = [fold(name) for name in names]
    places: dict[str, tuple[int, ...]] = {}
    for role in ROLES:
        if role not in sources and role in mapped:
            continue
        source = fold(sources.get(role, role))
        several = role in _SEVERAL
        found = tuple(n for n, name in enumerate(folded) if name == source or (several and _is_numbered(name, source)))
        if found:
            places[role] = found
        elif role in sources and fixed:
            raise ColumnError(f"it has no column `{sources[role]}`; its columns are {_listed(names)}")
        if len(found) > 1 and not several:
            raise ColumnError(f"it has the column `{names[found[0]].strip()}` twice")
    if URI not in places and PATH in places:
        places[URI] = places.pop(PATH)
    if URI not in places:
        raise ColumnError(f"it has no column `uri`; its columns are {_listed(names)}{_likely_uri(names)}")
    labels = _labels(names, folded, sources, {n for found in places.values() for n in found}, fixed=fixed)
    _refuse_near_misses(labels, places, sources)
    return Columns(places, tuple(labels), {name.strip(): n for n, name in enumerate(names) if name.startswith("_")})


def _labels(
    names: Sequence[str], folded: Sequence[str], sources: Mapping[str, str], taken: set[int], *, fixed: bool
) -> list[tuple[str, int]]:
    renamed = {fold(source): target for target, source in sources.items() if target not in ROLES}
    if fixed and (missing := [source for source in sources.values() if fold(source) in renamed.keys() - set(folded)]):
        raise ColumnError(f"it has no column `{missing[0]}`; its columns are {_listed(names)}")
    labels: dict[str, int] = {}
    for place, name in enumerate(folded):
        if place in taken or not name or name.startswith("_"):  # pandas' index column has no name
            continue
        label = renamed.get(name, names[place].strip())
        if label in labels:
            raise ColumnError(f"it has the column `{label}` twice")
        labels[label] = place
    return list(labels.items())


def _refuse_near_misses(
    labels: Sequence[tuple[str, int]], places: Mapping[str, object], sources: Mapping[str, str]
) -> None:
    for role in ROLES:
        if role in places or role in sources or role == PATH:
            continue
        for label, _ in labels:
            bare = re.sub(r"[^a-z]", "", label.casefold())
            if label not in sources and difflib.SequenceMatcher(None, bare, role).ratio() >= _NEAR:
                raise ColumnError(
                    f"its column `{label}` is nearly `{role}`: rename it, or use --column {role}={label}; if it is a"
                    f" label, use --column {label}={label}"
                )


def _likely_uri(names: Sequence[str]) -> str:
    if any("://" in name for name in names):
        return "; its first line seems to be a row: it must have the names of the columns above it, such as uri,product"
    likely = difflib.get_close_matches(URI, [fold(name) for name in names], 1) or [
        fold(name) for name in names if _PICTURE(fold(name))
    ]
    if not likely:
        return ""
    name = next(name.strip() for name in names if fold(name) == likely[0])
    return f"; `{name}` may be it: use --column uri={name}"


def _is_numbered(name: str, base: str) -> bool:
    return name.startswith(base) and bool(_NUMBER(name[len(base) :]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.strip() for name in names) or "none"
