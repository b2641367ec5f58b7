"""Read the product feed of Google Merchant Center, as text or as XML.

The image is `image_link`, with those of `additional_image_link`; the product is `item_group_id`, of which `id` is a
variant, or else `id`. Attributes of text are labels, but for descriptions and links.
"""

import re
from typing import Final

from lookalike.sources.manifest.columns import fold
from lookalike.sources.manifest.row import Row, Rows

KNOWN: Final = frozenset({"image_link", "image link", "additional_image_link", "item_group_id", "g:image_link"})
_LEFT_OUT: Final = re.compile(r"(.*_)?(link|description|redirect|shipping|tax)(_.*|\(.*)?").fullmatch
_IMAGE: Final = re.compile(r"image_link(_?\d+)?").fullmatch
_MORE: Final = re.compile(r"additional_image_links?(_?\d+)?").fullmatch
_COMMA: Final = re.compile(r"\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")


def matches(names: frozenset[str]) -> bool:
    """Return whether a feed has such columns."""
    attributes = {_attribute(name) for name in names}
    return "id" in attributes and any(map(_IMAGE, attributes))


def rows(feed: Rows) -> Rows:
    """Yield a row with our columns for each product."""
    return map(_row, feed)


def _row(row: Row) -> Row:
    if row.error:
        return row
    images: list[str] = []
    more: list[str] = []
    attributes: dict[str, str] = {}
    for name, value in zip(map(_attribute, row.names), row.values, strict=True):
        texts = [str(one) for one in value] if isinstance(value, list) else _COMMA.split(str(value or ""))
        if _IMAGE(name):
            images += filter(None, texts)
        elif _MORE(name):
            more += filter(None, texts)
        elif value:
            attributes[name] = f"{attributes[name]}, {value}" if name in attributes else str(value)
    identifier, group = attributes.pop("id", ""), attributes.pop("item_group_id", "")
    labels = {name: text for name, text in attributes.items() if name and not _LEFT_OUT(name)}
    return Row(
        row.number,
        ("uri", "product", "variant", *labels),
        (list(dict.fromkeys(images + more)), group or identifier, identifier if group else "", *labels.values()),
        missing=row.missing,
    )


def _attribute(name: str) -> str:
    return re.sub(r"[ -]", "_", fold(name).removeprefix("g:"))
