"""Items that wait for another try."""

from types import MappingProxyType

from lookalike import Item
from lookalike.errors import UnreadableImageError
from lookalike.indexing.spool import Attempt, Spool

ERROR = UnreadableImageError("busy", reason="HTTP_429")


def attempt(uri: str, attempts: int = 0) -> Attempt:
    return Attempt(Item(None, uri), attempts)


def uris(spool: Spool) -> list[str]:
    return [one.item.uri for one in spool.drain()]


def test_items_come_back_in_order_as_they_were_with_what_was_wrong() -> None:
    spool = Spool()
    items = [Item(None, "a", "hat", "red", staged=True, labels={"size": "m"}), Item(b"\0" * 3_000_000, "b")]
    for number, item in enumerate(items):
        spool.put(Attempt(item, number, bool(number)), ERROR, tried=False)
    assert len(spool) == 2
    assert list(spool.drain()) == [
        Attempt(items[0], 0, False, "HTTP_429", "busy"),
        Attempt(items[1], 1, True, "HTTP_429", "busy"),
    ]
    assert not spool
    spool.close()


def test_what_is_put_while_others_come_back_is_for_the_next_time() -> None:
    spool = Spool()
    spool.put(attempt("a"), ERROR, tried=True)
    spool.put(attempt("b"), ERROR, tried=True)
    for one in spool.drain():
        spool.put(attempt(one.item.uri, one.attempts + 1), ERROR, tried=True)
    assert [(one.item.uri, one.attempts) for one in spool.drain()] == [("a", 1), ("b", 1)]
    spool.close()


def test_what_could_not_be_tried_comes_before_what_was_refused() -> None:
    spool = Spool()
    for uri, tried in (("a", True), ("b", False), ("c", True), ("d", False)):
        spool.put(attempt(uri), ERROR, tried=tried)
    assert uris(spool) == ["b", "d", "a", "c"]
    spool.close()


def test_the_rest_is_all_that_was_not_taken() -> None:
    spool = Spool()
    for uri in "abc":
        spool.put(attempt(uri), ERROR, tried=True)
    taking = spool.drain()
    next(taking)
    spool.put(attempt("d"), ERROR, tried=True)
    assert [(one.unfinished().uri, str(one.unfinished().error)) for one in spool.rest()] == [
        *(("b", "busy"), ("c", "busy"), ("d", "busy")),
    ]
    taking.close()
    spool.close()


def test_callers_may_give_what_is_only_like_bytes_and_dictionaries() -> None:
    spool = Spool()
    item = Item(memoryview(b"image"), "a", labels=MappingProxyType({"size": "m"}))
    spool.put(Attempt(item), ERROR, tried=False)
    [one] = spool.drain()
    assert (one.item.image, one.item.labels) == (b"image", {"size": "m"})
    spool.close()
