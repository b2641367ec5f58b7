"""Items that wait for another try."""

from types import MappingProxyType

from lookalike import Item
from lookalike.indexing.spool import Spool


def test_items_come_back_in_order_as_they_were() -> None:
    spool = Spool()
    items = [Item(None, "a", "hat", "red", staged=True, labels={"size": "m"}), Item(b"\0" * 3_000_000, "b")]
    for number, item in enumerate(items):
        spool.put(item, number, image_lost=bool(number))
    assert len(spool) == 2
    assert list(spool.drain()) == [(items[0], 0, False), (items[1], 1, True)]
    assert not spool
    spool.close()


def test_what_is_put_while_others_come_back_is_for_the_next_time() -> None:
    spool = Spool()
    spool.put(Item(None, "a"), 0)
    spool.put(Item(None, "b"), 0)
    for item, attempts, _ in spool.drain():
        spool.put(item, attempts + 1)
    assert [(item.uri, attempts) for item, attempts, _ in spool.drain()] == [("a", 1), ("b", 1)]
    spool.close()


def test_callers_may_give_what_is_only_like_bytes_and_dictionaries() -> None:
    spool = Spool()
    spool.put(Item(memoryview(b"image"), "a", labels=MappingProxyType({"size": "m"})), 1)
    [(item, _, _)] = spool.drain()
    assert (item.image, item.labels) == (b"image", {"size": "m"})
    spool.close()
