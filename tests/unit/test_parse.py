"""Requests to the searcher: each rule of their fields, and what its refusal says."""

from collections.abc import Callable

import numpy as np
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.database import halfvec
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Entry
from lookalike_searcher.rpc import parse

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
    [entry] = parse.entries([request()])
    assert isinstance(entry, Entry)
    assert entry.reference.key == ("https://shop/a.jpg", "", "", False)
    [embedding] = entry.embeddings
    assert halfvec.decode([embedding.vector], 512).tolist() == [UNIT]


def test_a_vector_with_fields_that_we_do_not_know_is_read_all_the_same() -> None:
    """From a newer client, which may append anything."""
    newer = common.Embedding(space="s", values=UNIT)
    newer.MergeFromString(b"\xfa\x07\x03new")  # field 127
    [entry] = parse.entries([request(embedding=newer)])
    assert isinstance(entry, Entry)
    assert halfvec.decode([entry.embeddings[0].vector], 512).tolist() == [UNIT]


def test_bad_images_leave_the_vectors_of_good_ones_in_place() -> None:
    """All vectors of a batch that have the same number of dimensions are converted together."""
    axes = np.eye(512, dtype=np.float32)
    messages = [request(embedding=common.Embedding(space="s", values=axes[number])) for number in range(6)]
    messages[1].embedding.values[:] = []
    messages[3].embedding.values[3] = 2
    messages[4].further_embeddings.append(common.Embedding(space="t" * 128, values=np.eye(4000)[3999]))
    messages[5].embedding.values[:] = [0, 0, 1]
    results = parse.entries(messages)
    assert [isinstance(result, InvalidField) for result in results] == [False, True, False, True, False, False]
    vectors = [e.vector for r in results if isinstance(r, Entry) for e in r.embeddings]
    sizes = [halfvec.dimensions_of(len(vector)) for vector in vectors]
    assert sizes == [512, 512, 512, 4000, 3]
    found = [halfvec.decode([vector], size).argmax() for vector, size in zip(vectors, sizes, strict=True)]
    assert found == [0, 2, 4, 3999, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": b"short"}, "sha256: must be 32 bytes, got 5 bytes"),
        (
            {"embedding": common.Embedding(space="s")},
            "embedding.values: must be 1 to 4000 numbers, got 0 numbers",
        ),
        (
            {"embedding": common.Embedding(space="s", values=[0.0] * 4000 + [1.0])},
            "embedding.values: must be 1 to 4000 numbers, got 4001 numbers",
        ),
        (
            {"embedding": common.Embedding(space="s", values=[2.0] + [0.0] * 511)},
            "embedding.values: must be finite and of length 1, within 1 %, got length 2",
        ),
        (
            {"embedding": common.Embedding(space="s", values=[np.nan] * 512)},
            "embedding.values: must be finite and of length 1, within 1 %, got length nan",
        ),
        (
            {"embedding": common.Embedding(space="a space", values=UNIT)},
            "embedding.space: must be 1 to 128 letters, digits, '.', '_' or '-', got 'a space'",
        ),
        ({"width": -1}, "width: must be 0 to 1000000 pixels, got -1"),
        ({"height": 2_000_000}, "height: must be 0 to 1000000 pixels, got 2000000"),
        ({"reference": wire.Reference()}, "reference.uri: must be 1 to 2048 bytes, got 0 bytes"),
        (
            {"reference": wire.Reference(uri="ü" * 1025)},
            "reference.uri: must be 1 to 2048 bytes, got 2050 bytes",
        ),
        (
            {"reference": wire.Reference(uri="a\0b")},
            "reference.uri: must not contain the character NUL, got 'a\\x00b'",
        ),
        (
            {"reference": wire.Reference(uri="u", product="p" * 257)},
            "reference.product: must be 0 to 256 bytes, got 257 bytes",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={"": "x"})},
            "reference.labels: must be 1 to 64 bytes, got 0 bytes",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={"colour": "x" * 257})},
            "reference.labels['colour']: must be 0 to 256 bytes, got 257 bytes",
        ),
        (
            {"reference": wire.Reference(uri="u", labels={str(number): "" for number in range(65)})},
            "reference.labels: must be at most 64, got 65",
        ),
    ],
)
def test_each_rule_of_an_image_names_field_limit_and_value(changes: dict[str, object], message: str) -> None:
    [refusal] = parse.entries([request(**changes)])
    assert isinstance(refusal, InvalidField)
    assert refusal.message == message


@pytest.mark.parametrize("name", ["shop", "a", "0-9_z", "x" * 63])
def test_good_names_pass(name: str) -> None:
    assert validation.project_name(name) == name


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "shop/1", "x" * 64, "shöp", "p1; DROP SCHEMA p1", "shop\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="name: must be 1 to 63"):
        validation.project_name(name)


ONE = common.Embedding(space="s", values=UNIT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limit": -1}, "limit: must be 1 to 1000, or 0 for 10, got -1"),
        ({"limit": 1001}, "limit: must be 1 to 1000, or 0 for 10, got 1001"),
        ({"embedding": None}, "embedding: exactly one of embedding, sha256, uri and positives is required, got []"),
        (
            {"uri": "u"},
            "embedding: exactly one of embedding, sha256, uri and positives is required, got ['embedding', 'uri']",
        ),
        ({"sha256": b"x"}, "sha256: must be 32 bytes, got 1 bytes"),
        ({"negatives": [wire.Example(uri="u")]}, "negatives: needs positives, got 1"),
        ({"embedding": None, "positives": [wire.Example(uri="u")] * 101}, "positives: must be at most 100, got 101"),
        (
            {"embedding": None, "positives": [wire.Example(uri="u"), wire.Example()]},
            "positives[1]: must be an embedding, a sha256 or a uri",
        ),
        ({"min_similarity": 1.5}, "min_similarity: must be -1 to 1, got 1.5"),
        ({"min_similarity": float("nan")}, "min_similarity: must be -1 to 1, got nan"),
        ({"group_by": 7}, "group_by: must be a known value, got 7"),
        ({"space": "a b"}, "space: must be 1 to 128 letters, digits, '.', '_' or '-', got 'a b'"),
        ({"page_token": "!"}, "page_token: must be what an answer to the same request gave, got '!'"),
        ({"filter": wire.Filter(products=[""] * 1001)}, "filter.products: must be at most 1000, got 1001"),
        (
            {"filter": wire.Filter(labels=[wire.LabelGroup()])},
            "filter.labels[0].any_of: must be 1 to 64, got 0",
        ),
        (
            {"filter": wire.Filter(labels=[wire.LabelGroup(any_of=[wire.Label(name="", value="x")])])},
            "filter.labels[0].any_of: must be 1 to 64 bytes, got 0 bytes",
        ),
        (
            {"filter": wire.Filter(uri_prefix="x" * 2049)},
            "filter.uri_prefix: must be 1 to 2048 bytes, got 2049 bytes",
        ),
    ],
)
def test_each_rule_of_a_search_names_field_limit_and_value(changes: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"project": "shop", "embedding": ONE}
    with pytest.raises(InvalidField) as caught:
        parse.search(wire.SearchRequest(**(fields | changes)))
    assert caught.value.message == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: validation.page_size(-1),
        lambda: validation.space(""),
        lambda: parse.hashes(wire.CheckImagesRequest(sha256s=[HASH, b"x"])),
        lambda: parse.hashes(wire.CheckImagesRequest(sha256s=[HASH] * 10_001)),
        lambda: parse.names(wire.DeleteImagesRequest()),
        lambda: parse.names(wire.DeleteImagesRequest(uris=["u"] * 600, products=["p"] * 401)),
        lambda: parse.names(wire.DeleteImagesRequest(products=[""])),
        lambda: parse.limits(wire.Limits(max_hits=1001)),
        lambda: parse.limits(wire.Limits(max_images=-1)),
        lambda: parse.limits(wire.Limits(searches_per_second=float("nan"))),
        lambda: parse.synced(wire.SyncProductRequest(entries=[wire.ImageEntry(sha256=b"x")]), "p"),
    ],
)
def test_bad_requests_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InvalidField):
        call()


def test_defaults() -> None:
    assert parse.limit(0) == 10
    assert validation.page_size(0) == 100
    assert validation.page_size(5000) == 1000


def test_a_long_value_is_cut_in_the_message() -> None:
    """Errors travel in trailers, which have little room."""
    with pytest.raises(InvalidField) as caught:
        validation.project_name("x" * 100_000)
    assert len(caught.value.message) < 250
