"""Shares of a manifest."""

import pytest

from lookalike.indexing import Shard

URIS = [f"https://shop/{number}.jpg" for number in range(10_000)]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_uri_is_in_exactly_one_share_and_they_are_about_alike(count: int) -> None:
    shares = [Shard(index, count) for index in range(count)]
    assert all(sum(share.has(uri) for share in shares) == 1 for uri in URIS)
    sizes = [sum(map(share.has, URIS)) for share in shares]
    assert max(sizes) - min(sizes) < len(URIS) / count / 4


def test_a_uri_is_always_in_the_same_share() -> None:
    """Whichever process asks: a job that starts again goes on with its own. These are in use, and stay."""
    assert [next(index for index in range(4) if Shard(index, 4).has(uri)) for uri in URIS[:8]] == [
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]


def test_what_is_no_text_is_in_a_share_too() -> None:
    assert sum(Shard(index, 3).has("\ud83d") for index in range(3)) == 1


def test_a_share_is_read_from_what_it_is_called() -> None:
    assert Shard.parse("2/4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "0/0", "a/b", "1/2/3", "1/"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Shard.parse(text)
