"""Read the product CSV that WooCommerce exports.

`Images` is a list. The product is the SKU, or `id:` and the ID where there is none, as in the column `Parent` of a
variation; the variation's own SKU is the variant. Rows without images are no items.
"""

import re
from typing import Any, Final

from lookalike.sources.manifest.columns import fold
from lookalike.sources.manifest.row import Row, Rows

KNOWN: Final = frozenset({"images", "sku"})
_COLUMNS: Final = frozenset({"type", "sku", "images"})
_LABELS: Final = ("name", "categories", "tags", "brands")
_COMMA: Final = re.compile(r"(?<!\\),\s*")
_ATTRIBUTE: Final = re.compile(r"attribute (\d+) name").fullmatch


def matches(names: frozenset[str]) -> bool:
    """Return whether an export has such columns."""
    return names >= _COLUMNS


def rows(export: Rows) -> Rows:
    """Yield a row with our columns for each product and variation that has images."""
    for row in export:
        if row.error:
            yield row
            continue
        fields = {fold(name): str(value or "") for name, value in zip(row.names, row.values, strict=True)}
        if images := [image.replace("\\,", ",") for image in _COMMA.split(fields["images"]) if image]:
            yield _row(row, fields, images)


def _row(row: Row, fields: dict[str, str], images: list[str]) -> Row:
    own = fields["sku"] or f"id:{fields.get('id', '')}"
    is_variation = "variation" in fields["type"] and fields.get("parent")
    attributes = {
        fields[name]: fields[f"attribute {found[1]} value(s)"]
        for name in fields
        if (found := _ATTRIBUTE(name)) and fields[name] and fields.get(f"attribute {found[1]} value(s)")
    }
    made: dict[str, Any] = {
        **{name: fields[name] for name in _LABELS if fields.get(name)},
        **attributes,
        "uri": images,
        "product": fields["parent"] if is_variation else own,
        "variant": own if is_variation else "",
        "staged": fields.get("published", "1") not in ("1", ""),
    }
    return Row(row.number, tuple(made), [*made.values()], missing=row.missing)
