"""Read the product CSV that Shopify exports, in its old and its new wording.

A product has several rows, of which the first has what holds for all. `Image Src` shows the product, whose name is its
`Handle`; `Variant Image` shows the variant, whose name is its SKU. Rows without an image are no items.
"""

from typing import Any, Final

from lookalike.sources.manifest.columns import fold
from lookalike.sources.manifest.row import Row, Rows

KNOWN: Final = frozenset({"handle", "image src", "url handle", "product image url"})
_HANDLE: Final = ("handle", "url handle")
_IMAGE: Final = ("image src", "product image url")
_VARIANT_IMAGE: Final = ("variant image", "variant image url")
_SKU: Final = ("variant sku", "sku")
_LABELS: Final = ("title", "vendor", "product category", "type", "tags", "status")
_PUBLISHED: Final = ("published", "published on online store")
_OPTIONS: Final = (1, 2, 3)


def matches(names: frozenset[str]) -> bool:
    """Return whether an export has such columns."""
    return any(name in names for name in _HANDLE) and any(name in names for name in _IMAGE + _VARIANT_IMAGE)


def rows(export: Rows) -> Rows:
    """Yield a row with our columns for each image of a product and of a variant."""
    product: dict[str, str] = {}
    for row in export:
        if row.error:
            yield row
            continue
        fields = {fold(name): str(value or "") for name, value in zip(row.names, row.values, strict=True)}
        handle = _first(fields, _HANDLE)
        if handle and handle != _first(product, _HANDLE):
            product = fields
        common: dict[str, Any] = {
            "product": _first(product, _HANDLE),
            "staged": product.get("status", "").lower() == "draft" or _first(product, _PUBLISHED).lower() == "false",
            **{name: product[name] for name in _LABELS if product.get(name)},
        }
        if image := _first(fields, _IMAGE):
            yield _row(row, {"uri": image, **common})
        if image := _first(fields, _VARIANT_IMAGE):
            options = {
                product[f"option{n} name"]: fields[f"option{n} value"]
                for n in _OPTIONS
                if product.get(f"option{n} name") and fields.get(f"option{n} value")
            }
            yield _row(row, {**options, "uri": image, **common, "variant": _first(fields, _SKU)})


def _row(row: Row, fields: dict[str, Any]) -> Row:
    return Row(row.number, tuple(fields), [*fields.values()], missing=row.missing)


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")
