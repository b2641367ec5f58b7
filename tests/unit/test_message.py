"""Queries and filters, as they are asked for and as they travel."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import Embedding, Example, Filter, InvalidRequestError, Limits, Query
from lookalike._operations import encode
from lookalike.v1 import searcher_pb2 as wire

IMAGE = Example(image=b"x")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"image": b"x", "sha256": "00"},
        {"uri": "u", "embedding": Embedding("s", (1.0,))},
        {"positives": [IMAGE], "uri": "u"},
        {"negatives": [IMAGE]},
        {"negatives": [IMAGE], "image": b"x"},
    ],
)
def test_a_query_is_exactly_one(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a search takes"):
        Query(**fields)


@pytest.mark.parametrize("fields", [{}, {"image": b"x", "uri": "u"}, {"sha256": "00", "embedding": Embedding("s", ())}])
def test_an_example_is_exactly_one(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="an example is"):
        Example(**fields)


def groups(chosen: Filter) -> list[set[tuple[str, str]]]:
    return [{(label.name, label.value) for label in group.any_of} for group in encode.filter_(chosen).labels]


def test_the_names_of_a_mapping_are_all_asked_for_and_the_values_of_a_name_are_alternatives() -> None:
    chosen = Filter(labels={"colour": ("red", "blue"), "brand": "x"})
    assert groups(chosen) == [{("colour", "red"), ("colour", "blue")}, {("brand", "x")}]


def test_each_mapping_of_a_sequence_is_one_set_of_alternatives() -> None:
    chosen = Filter(labels=[{"brand": "x", "maker": ["x", "y"]}, {"colour": "red"}])
    assert groups(chosen) == [{("brand", "x"), ("maker", "x"), ("maker", "y")}, {("colour", "red")}]


@given(
    st.lists(st.text(max_size=3), max_size=3),
    st.booleans() | st.none(),
    st.dictionaries(st.text(max_size=3), st.text()),
)
def test_a_filter_travels_as_it_is(products: list[str], staged: bool | None, labels: dict[str, str]) -> None:
    made = encode.filter_(Filter(products=products, variants="one", staged=staged, uri_prefix="u", labels=labels))
    assert list(made.products) == products
    assert list(made.variants) == ["one"]
    assert (made.staged if made.HasField("staged") else None) == staged
    assert groups(Filter(labels=labels)) == [{label} for label in labels.items()]


def test_what_is_not_asked_for_does_not_travel() -> None:
    request = encode.search("shop", Query(uri="u"))
    assert {field.name for field, _ in request.ListFields()} == {"project", "uri", "limit"}
    request = encode.search("shop", Query(uri="u", min_similarity=0.0, filter=Filter(staged=False)))
    assert request.HasField("min_similarity")
    assert request.filter.HasField("staged")


def test_examples_travel_in_their_order() -> None:
    positives = [Example(uri="u"), IMAGE, Example(sha256="ff"), Example(embedding=Embedding("s", (1.0,)))]
    request = encode.search("shop", Query(positives=positives, negatives=[Example(uri="v")]))
    assert [example.WhichOneof("example") for example in request.positives] == ["uri", None, "sha256", "embedding"]
    assert request.negatives[0].uri == "v"
    assert request.group_by == wire.GROUPING_UNSPECIFIED


@pytest.mark.parametrize(
    "query",
    [
        Query(uri="\udcff"),
        Query(uri="u", limit=2**40),
        Query(uri="u", min_similarity=cast("float", "much")),
        Query(uri="u", filter=Filter(products=cast("str", 7))),
        Query(uri="u", filter=Filter(labels=cast("dict[str, str]", {"size": 7}))),
        Query(positives=[Example(sha256="no hexadecimal")]),
    ],
)
def test_what_cannot_be_sent_is_invalid(query: Query) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode.search("shop", query)
    assert caught.value.reason == "INVALID_FIELD"


def test_limits_that_cannot_be_sent_are_invalid() -> None:
    with pytest.raises(InvalidRequestError, match="limits: "):
        encode.limits(Limits(max_images=2**70))
