"""Page tokens carry the whole query, and nothing that is none of ours is taken for one."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import Embedding
from lookalike_gateway import page_token
from lookalike_gateway.page_token import Page
from lookalike_gateway.parameters import Search
from lookalike_gateway.problems import Refused

VECTOR = Embedding("space", tuple(float(number) / 1024 for number in range(512)))  # exact in 32 bits


@pytest.mark.parametrize(
    "query", [{"sha256": "ab" * 32}, {"uri": "https://shop/ü.jpg"}, {"embedding": VECTOR, "sha256": "ab" * 32}]
)
def test_a_token_is_read_as_it_was_written(query: dict[str, object]) -> None:
    page = Page(query, 24, "of-the-searcher")
    written = page_token.encode(page)
    assert page_token.decode(written) == page
    assert len(written) < 4096, "fits into what proxies let pass"
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_token_with_the_longest_vector_is_taken() -> None:
    longest = Embedding("space", (0.5,) * 4000)
    written = page_token.encode(Page({"embedding": longest, "sha256": "ab" * 32}, 10**6, "t" * 5000))
    assert Search.model_validate({"page_token": written}).page_token == written


@given(st.one_of(st.text(), st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode())))
def test_anything_else_is_refused(text: str) -> None:
    with contextlib.suppress(Refused):
        page = page_token.decode(text)
        assert page.page_token
        assert page.query


def test_a_token_without_a_query_or_a_place_is_refused() -> None:
    whole = base64.urlsafe_b64decode(page_token.encode(Page({"uri": "u"}, 1, "t")) + "==")
    for broken in (whole[:4], whole[:-3], b""):
        with pytest.raises(Refused):
            page_token.decode(base64.urlsafe_b64encode(broken).decode())
