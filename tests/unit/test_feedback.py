"""Feedback that breaks a rule, and what two verdicts on a hit come to."""

import time
from collections.abc import Callable

import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.feedback.feedback import Verdict
from lookalike_searcher.rpc import parse
from lookalike_searcher.search import search_id

HASH = bytes(32)
NAME = search_id.issue(7)


def hit(**changes: object) -> wire.HitVerdict:
    fields: dict[str, object] = {"sha256": HASH, "rank": 1, "verdict": wire.VERDICT_RIGHT}
    return wire.HitVerdict(**(fields | changes))


def searched(**changes: object) -> wire.SearchFeedback:
    fields: dict[str, object] = {"search_id": NAME, "verdicts": [hit()]}
    return wire.SearchFeedback(**(fields | changes))


def test_a_name_tells_project_and_time_and_is_another_one_each_time() -> None:
    names = {search_id.issue(7) for _ in range(100)}
    assert len(names) == 100
    for name in names:
        found = search_id.parse(name, "search_id")
        assert found.project_id == 7
        assert abs(found.seconds - time.time()) < 60
        assert len(name) == 22
        assert search_id.text(found.packed) == name


@pytest.mark.parametrize(
    "name",
    ["", "x", NAME[:-1], NAME + "A", NAME + "==", "é" * 22, "_" * 22, NAME[:-1] + "B"],
    ids=["empty", "short", "a byte less", "a letter more", "padded", "not ASCII", "of no time", "bits over"],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="search_id: must be the search_id of a search"):
        search_id.parse(name, "search_id")


@pytest.mark.parametrize(
    ("searches", "message"),
    [
        ([], "searches: must be 1 to 100, got 0"),
        ([searched()] * 101, "searches: must be 1 to 100, got 101"),
        ([searched(verdicts=[hit()] * 91)] * 11, "searches: must hold at most 1000 verdicts in all, got 1001"),
        ([searched(), searched(search_id="")], r"searches\[1\].search_id: must be"),
        ([searched(verdicts=[])], r"searches\[0\].verdicts: must be 1 to 100, got 0"),
        ([searched(verdicts=[hit()] * 101)], r"searches\[0\].verdicts: must be 1 to 100, got 101"),
        ([searched(verdicts=[hit(sha256=b"x")])], r"searches\[0\].verdicts\[0\].sha256: must be 32 bytes"),
        ([searched(verdicts=[hit(rank=0)])], r"searches\[0\].verdicts\[0\].rank: must be 1 to 1e\+06, got 0"),
        ([searched(verdicts=[hit(verdict=0)])], r"verdict: must be RIGHT, WRONG or CLICKED, got 0"),
        ([searched(verdicts=[hit(verdict=9)])], r"verdict: must be RIGHT, WRONG or CLICKED, got 9"),
        ([searched(query_sha256=b"x")], r"searches\[0\].query_sha256: must be 32 bytes"),
        ([searched(query_sha256=HASH, query_uri="a")], r"query_uri: must be left out with query_sha256"),
        (
            [searched(query_embedding=common.Embedding(space="s", values=[1] * 4001))],
            r"query_embedding.values: must be 1 to 4000",
        ),
    ],
)
def test_a_rule_that_is_broken_is_named(searches: list[wire.SearchFeedback], message: str) -> None:
    with pytest.raises(InvalidField, match=message):
        parse.feedback(wire.RecordFeedbackRequest(project="shop", searches=searches))


def test_a_search_and_a_hit_that_come_twice_are_one() -> None:
    again = searched(verdicts=[hit(verdict=wire.VERDICT_WRONG, rank=2), hit(verdict=wire.VERDICT_CLICKED, rank=3)])
    [judged] = parse.feedback(wire.RecordFeedbackRequest(searches=[searched(), again]))
    assert judged.verdicts == {HASH: Verdict(3, right=False, clicked=True)}


@pytest.mark.parametrize("make", [lambda: wire.DeleteFeedbackRequest(), lambda: _deleting(10**15)])
def test_a_deletion_of_nothing_and_one_before_no_time_are_refused(
    make: Callable[[], wire.DeleteFeedbackRequest],
) -> None:
    with pytest.raises(InvalidField):
        parse.deleted_feedback(make())


def _deleting(seconds: int) -> wire.DeleteFeedbackRequest:
    request = wire.DeleteFeedbackRequest()
    request.search_time_before.seconds = seconds
    return request
