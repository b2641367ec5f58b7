"""Recognize what shops export by the names of its columns, and turn its rows into rows with our columns."""

import itertools
from collections.abc import Callable, Mapping
from typing import Final

from lookalike.sources.manifest.columns import URI, fold
from lookalike.sources.manifest.format import Format
from lookalike.sources.manifest.row import Rows
from lookalike.sources.manifest.shapes import google, shopify, woocommerce

KNOWN: Final = google.KNOWN | shopify.KNOWN | woocommerce.KNOWN
"""Folded names of columns that show that a line is a header."""


def translated(rows: Rows, form: Format, mapping: Mapping[str, str]) -> Rows:
    """Yield the rows with our columns, if it is a known shape. A mapping of `uri` says that it is not to be one."""
    before = []
    for row in rows:
        before.append(row)
        if row.names:
            break
    names = frozenset(fold(name) for name in before[-1].names) if before else frozenset()
    shape = _shape_of(names, form)
    if shape is None or URI in mapping or URI in names:
        return itertools.chain(before, rows)
    return shape(itertools.chain((row for row in before if not row.is_header), rows))


def _shape_of(names: frozenset[str], form: Format) -> Callable[[Rows], Rows] | None:
    if form is Format.XML or google.matches(names):
        return google.rows
    if shopify.matches(names):
        return shopify.rows
    return woocommerce.rows if woocommerce.matches(names) else None
