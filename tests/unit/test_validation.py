"""The searcher's fields: each rule, and what its refusal says."""

from collections.abc import Callable

import numpy as np
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField

UNIT = [1.0] + [0.0] * 511
HASH = bytes(32)


def request(**changes: object) -> wire.IndexImagesRequest:
    fields: dict[str, object] = {
        "sha256": HASH,
        "embedding": common.Embedding(space="s", values=UNIT),
        "width": 10,
        "height": 10,
        "reference": wire.Reference(uri="https://shop/a.jpg"),
    }
    return wire.IndexImagesRequest(**(fields | changes))


def test_a_good_request_passes() -> None:
    entry = validation.entry(request())
    assert entry.reference.key == ("https://shop/a.jpg", "", "", False)
    assert entry.embedding is not None
    assert entry.embedding.vector.dimensions() == 512


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": b"short"}, "sha256: must be 32 bytes, got '5 bytes'"),
        (
            {"embedding": common.Embedding(space="s", values=[1.0] * 3)},
            "embedding.values: must be 512 numbers, got '3 numbers'",
        ),
        (
            {"embedding": common.Embedding(space="s", values=[2.0] + [0.0] * 511)},
            "embedding.values: must be finite and of length 1, within 1 %, got 'length 2'",
        ),
        (
            {"embedding": common.Embedding(space="s", values=[np.nan] * 512)},
            "embedding.values: must be finite and of length 1, within 1 %, got 'length nan'",
        ),
        (
            {"embedding": common.Embedding(space="a space", values=UNIT)},
            "embedding.space: must be 1 to 128 letters, digits, '.', '_' or '-', got 'a space'",
        ),
        ({"width": -1}, "width: must be 0 to 1000000 pixels, got -1"),
        ({"height": 2_000_000}, "height: must be 0 to 1000000 pixels, got 2000000"),
        ({"reference": wire.Reference()}, "reference.uri: must be 1 to 2048 bytes, got '0 bytes'"),
        (
            {"reference": wire.Reference(uri="ü" * 1025)},
            "reference.uri: must be 1 to 2048 bytes, got '2050 bytes'",
        ),
        (
            {"reference": wire.Reference(uri="a\0b")},
            "reference.uri: must not contain the character NUL, got 'a\\x00b'",
        ),
        (
            {"reference": wire.Reference(uri="u", product="p" * 257)},
            "reference.product: must be 0 to 256 bytes, got '257 bytes'",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={"": "x"})},
            "reference.labels: must be 1 to 64 bytes, got '0 bytes'",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={"colour": "x" * 257})},
            "reference.labels['colour']: must be 0 to 256 bytes, got '257 bytes'",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={str(number): "" for number in range(65)})},
            "reference.labels: must be at most 64, got 65",
        ),
    ],
)
def test_each_rule_of_an_image_names_field_limit_and_value(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        validation.entry(request(**changes))
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["shop", "a", "0-9_z", "x" * 63])
def test_good_names_pass(name: str) -> None:
    assert validation.project_name(name) == name


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "shop/1", "x" * 64, "shöp", "p1; DROP SCHEMA p1", "shop\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="name: must be 1 to 63"):
        validation.project_name(name)


@pytest.mark.parametrize(
    "call",
    [
        lambda: validation.limit(-1),
        lambda: validation.limit(1001),
        lambda: validation.page_size(-1),
        lambda: validation.space(""),
        lambda: validation.query(wire.SearchRequest()),
        lambda: validation.query(wire.SearchRequest(sha256=b"x")),
        lambda: validation.hashes(wire.CheckImagesRequest(sha256s=[HASH, b"x"])),
        lambda: validation.hashes(wire.CheckImagesRequest(sha256s=[HASH] * 10_001)),
    ],
)
def test_bad_queries_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InvalidField):
        call()


def test_defaults() -> None:
    assert validation.limit(0) == 10
    assert validation.page_size(0) == 100
    assert validation.page_size(5000) == 1000


def test_a_long_value_is_cut_in_the_message() -> None:
    """Errors travel in trailers, which have little room."""
    with pytest.raises(InvalidField) as caught:
        validation.project_name("x" * 100_000)
    assert len(caught.value.message) < 250
