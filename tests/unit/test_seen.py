"""The set of references that a run has seen."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike import Item, Reference
from lookalike.indexing import Earlier, Seen, seen


def reference(uri: str, product: str = "", variant: str = "", *, staged: bool = False) -> Reference:
    return Reference(uri=uri, product=product, variant=variant, staged=staged, labels={})


def test_references_are_the_same_by_all_but_their_labels() -> None:
    with Seen() as found:
        found.add(Item(None, "a", "b", "c", staged=True, labels={"size": "m"}))
        others = [reference("a", "b", "c"), reference("a", "bc", staged=True), reference("ab", "", "c", staged=True)]
        assert found.others([reference("a", "b", "c", staged=True), *others]) == others


def test_there_may_be_more_than_are_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_AT_ONCE", 10)
    with Seen() as found:
        for number in range(95):
            found.add(Item(None, str(number % 90)))
        assert found.count == 90, "of the others, each is there already"
        unseen = found.others(reference(str(number)) for number in range(100))
        assert [one.uri for one in unseen] == [str(number) for number in range(90, 100)]
        found.add(Item(None, "90"))
        assert reference("90") not in found.others([reference("90")])


def test_one_that_is_there_already_says_where_it_was_and_whether_it_was_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seen, "_AT_ONCE", 2)
    with Seen() as found:
        for number in range(3):
            assert found.add(Item(None, str(number), "hat", labels={"size": "40"}), f"list:{number}") is None
        for number in (0, 2):  # written, and not yet
            again = Item(None, str(number), "hat", labels={"size": "40"})
            assert found.add(again, "list:9") == Earlier(f"list:{number}", same=True, origin="")
            other = Item(None, str(number), "hat", labels={"size": "41"})
            assert found.add(other, "list:9") == Earlier(f"list:{number}", same=False, origin="")
        assert found.count == 3


def test_items_may_be_added_by_the_thread_that_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_AT_ONCE", 2)
    with Seen() as found:
        with ThreadPoolExecutor(1) as thread:
            for number in range(5):
                thread.submit(found.add, Item(None, str(number))).result()
        assert found.others([reference("4"), reference("5")]) == [reference("5")]


def test_what_is_no_text_can_be_seen() -> None:
    with Seen() as found:
        found.add(Item(None, "\ud83d"))
        assert found.others([reference("a")]) == [reference("a")]
