"""Manifests that shops export, read as they come. The files in tests/feeds are made up."""

import io
from pathlib import Path

import pytest

from lookalike import InvalidRequestError, Item
from lookalike.sources import Findings, Format, Sources
from lookalike.sources.manifest import Options, binary_items

FEEDS = Path(__file__).parents[1] / "feeds"
HAT = {"title": "Felt hat", "price": "19.90 EUR", "brand": "Ö & Co", "color": "red"}
FELT = {"title": "Felt hat", "vendor": "Ö & Co", "type": "Hats", "tags": "felt, winter", "status": "active"}
WOOL = {"name": "Felt hat", "categories": "Clothing > Hats", "tags": "felt", "Colour": "red, blue"}
NEW = {"title": "Felt hat", "vendor": "Ö & Co", "type": "Hats", "status": "Active"}


def shop(file: str, product: str, variant: str = "", /, *, staged: bool = False, **labels: str) -> Item:
    return Item(None, f"https://shop.example/{file}", product, variant, staged, labels)


def cdn(file: str, product: str, variant: str = "", /, *, staged: bool = False, **labels: str) -> Item:
    return Item(None, f"https://cdn.example/{file}", product, variant, staged, labels)


SHAPES: dict[str, list[Item]] = {
    "google.tsv": [
        shop("i/hat-red.jpg", "HAT", "HAT-R", **HAT),
        shop("i/hat-red-2.jpg", "HAT", "HAT-R", **HAT),
        shop("i/w_80,h_80/3.jpg", "HAT", "HAT-R", **HAT),
        shop("i/bag.jpg", "BAG", title="Bag", price="49.00 EUR", brand="Ö & Co"),
    ],
    "google.xml": [
        *(
            shop(f"i/hat-red{n}.jpg{query}", "HAT", "HAT-R", title="Felt hat", price="19.90 EUR")
            for n, query in (("", "?w=800&v=2"), ("-2", ""), ("-3", ""))
        ),
        shop("i/bag.jpg", "BAG", title="Bag Ö"),
    ],
    "shopify.csv": [
        cdn("hat.jpg?v=1", "felt-hat", **FELT),
        cdn("hat-red.jpg?v=1", "felt-hat", "HAT-R", Color="red", **FELT),
        cdn("hat-back.jpg?v=1", "felt-hat", **FELT),
        cdn("hat-blue.jpg?v=1", "felt-hat", "HAT-B", Color="blue", **FELT),
        cdn("bag.jpg?v=1", "bag", staged=True, title="Bag", vendor="Ö & Co", type="Bags", status="draft"),
    ],
    "shopify_new.csv": [
        cdn("hat.jpg", "felt-hat", **NEW),
        cdn("hat-red.jpg", "felt-hat", "HAT-R", Color="red", **NEW),
        cdn("hat-back.jpg", "felt-hat", **NEW),
    ],
    "woocommerce.csv": [
        shop("u/hat.jpg", "HAT", **WOOL),
        shop("u/hat-2.jpg", "HAT", **WOOL),
        shop("u/hat-red.jpg", "HAT", "HAT-R", name="Felt hat - red", Colour="red"),
        shop("u/w_80,h_80/bag.jpg", "id:13", staged=True, name="Bag", categories="Bags"),
    ],
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_shop_exports_is_read_as_it_comes(name: str) -> None:
    sources = Sources([str(FEEDS / name)])
    assert list(sources.items()) == SHAPES[name]
    assert not sources.findings.notes
    failed = [failure.uri.rpartition(":")[2] for failure in sources.findings.failures]
    assert failed == (["18"] if name == "google.xml" else []), "a product of a feed must have an image"


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_recognized_without_a_name_and_in_utf_16(name: str) -> None:
    text = (FEEDS / name).read_text().replace('encoding="UTF-8"', "")
    for data in (text.encode(), text.encode("utf-16")):
        assert read(data) == SHAPES[name]


def test_columns_that_are_named_count_more_than_the_shape() -> None:
    data = (FEEDS / "google.tsv").read_bytes()
    assert {item.product for item in read(data, columns={"product": "brand"})} == {"Ö & Co"}
    [hat, bag] = read(data, columns={"uri": "image link"})
    assert (hat.uri, hat.product) == ("https://shop.example/i/hat-red.jpg", "")
    assert bag.labels["id"] == "BAG"


def test_a_feed_without_items_is_refused_and_so_are_entities() -> None:
    with pytest.raises(InvalidRequestError, match="no <item> of RSS and no <entry> of Atom"):
        read(b"<html></html>")
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><item><id>&b;</id></item></rss>'
    with pytest.raises(InvalidRequestError, match="line 1 is not XML: entities are refused"):
        read(bomb.encode())


def test_a_feed_that_breaks_off_gives_what_was_read_and_one_failure() -> None:
    findings = Findings()
    data = (FEEDS / "google.xml").read_bytes().replace(b"Has no image</title>", b"Has no image</tit", 1)
    found = list(binary_items(io.BytesIO(data), "feed", "/base", Options(), findings))
    assert found == SHAPES["google.xml"][:3]
    [failure] = findings.failures
    assert "line 21 is not XML" in str(failure.error)
    assert "the rest of it is not read" in str(failure.error)


def read(data: bytes, **options: object) -> list[Item]:
    return list(binary_items(io.BytesIO(data), "feed", "/base", Options(Format.AUTO, **options), Findings()))
