"""URLs are sent as they are given, but for what may not be sent."""

import pytest

from lookalike.fetch import url as urls

SIGNED = (
    "http://h/a%2Fb/~c+d%7e.jpg?X-Amz-Signature=a%2Bb%2f&sig=x+y/z==&q=a%20b",
    "https://h:8443/a//b/../c/./d.jpg?",
    "http://user:pa%40ss@h/%e2%82%ac%E2%82%AC",
    "http://h/;v=1,2@3!$'()*:4",
)


@pytest.mark.parametrize("text", SIGNED)
def test_a_valid_url_is_sent_byte_for_byte(text: str) -> None:
    path = "/" + text.split("/", 3)[3]
    assert urls.parse(text).raw_path_qs == path.removesuffix("?")  # an empty query is none
    assert urls.parse(str(urls.parse(text))) == urls.parse(text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("http://h", "/"),
        ("http://h/32 b.jpg#part", "/32%20b.jpg"),
        ("http://h/100%.jpg?a=5%", "/100%25.jpg?a=5%25"),
        ("http://h/caf\u00e9\n|.jpg?\u00e9", "/caf%C3%A9%0A%7C.jpg?%C3%A9"),
        ("http://h/caf\udce9", "/caf%E9"),  # a header that is not UTF-8
    ],
)
def test_what_may_not_be_sent_is_quoted(text: str, sent: str) -> None:
    assert urls.parse(text).raw_path_qs == sent


def test_a_host_is_spelled_as_dns_spells_it() -> None:
    assert urls.parse("http://caf\u00e9.example/%2F").raw_authority == "xn--caf-dma.example"


@pytest.mark.parametrize("text", ["http://h:99999/", "http://[::1/", "http://h:x/"])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        urls.parse(text)


@pytest.mark.parametrize(
    ("reference", "joined"),
    [
        ("/ok/31.jpg", "http://h/ok/31.jpg"),
        ("31.jpg?a=%2B", "http://h/lists/31.jpg?a=%2B"),
        ("../31.jpg", "http://h/31.jpg"),
        ("//other/31.jpg", "http://other/31.jpg"),
        ("https://other/%2f/../~", "https://other/%2f/../~"),
    ],
)
def test_references_are_joined_as_rfc_3986_says(reference: str, joined: str) -> None:
    assert urls.join("http://h/lists/a.csv?X=1", reference) == joined
