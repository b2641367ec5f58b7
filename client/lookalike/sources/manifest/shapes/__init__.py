"""Recognize what shops export by the names of its columns, and turn its rows into rows with our columns."""

import itertools
from collections.abc import Mapping
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
    rows = itertools.chain(before, rows)
    names = frozenset(fold(name) for name in before[-1].names) if before else frozenset()
    if URI in mapping or URI in names:
        return rows
    if form is Format.XML or google.matches(names):
        return google.rows(rows)
    if shopify.matches(names):
        return shopify.rows(rows)
    return woocommerce.rows(rows) if woocommerce.matches(names) else rows
