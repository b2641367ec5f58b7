"""Verification runs in threads of its own: who leaves takes nothing of them, and what is broken fails alone."""

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from lookalike_searcher.copies import verification
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.copies.proof import SIMILAR, Proof
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.search.verification import Verifier
from lookalike_serving.fingerprint import Fingerprint, making

if TYPE_CHECKING:
    from lookalike_searcher.search.read_routing import Reads
    from lookalike_searcher.search.types import Ranking, Search

PRINT = making.make(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), 60, 40)
HASHES = [bytes([number]) * 32 for number in range(5)]


class Held:
    """Compares as soon as it is let, and counts."""

    def __init__(self) -> None:
        self.compared = 0
        self.started, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _query: Side, _image: Side) -> Proof:
        self.compared += 1
        self.started.set()
        assert self.go_on.wait(60)
        return SIMILAR


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(verification, "verify", made)
    yield made
    made.go_on.set()


def asked(verifier: Verifier, fingerprints: dict[bytes, Fingerprint], verify: int) -> "asyncio.Task[object]":
    """A search that is verified against these."""

    class Stored:
        async def ask(self, _: object) -> dict[bytes, Fingerprint]:
            return dict(fingerprints)

    search = SimpleNamespace(verify=verify, fingerprint=PRINT, project_name="shop")
    hits = [SimpleNamespace(sha256=sha256) for sha256 in fingerprints]
    ranking = SimpleNamespace(hits=hits, query=SimpleNamespace(sha256=b""), project_id=1)
    return asyncio.create_task(
        verifier.proofs(cast("Search", search), cast("Ranking", ranking), cast("Reads", Stored()))
    )


async def test_who_leaves_frees_the_threads_for_others(held: Held) -> None:
    metrics = Metrics()
    async with ComparisonThreads(1) as threads:
        verifier = Verifier(threads, metrics)
        left = asked(verifier, dict.fromkeys(HASHES, PRINT), 5)
        assert await asyncio.to_thread(held.started.wait, 60)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        held.go_on.set()
        proofs = await asked(verifier, dict.fromkeys(HASHES[:2], PRINT), 2)
    assert proofs == dict.fromkeys(HASHES[:2], SIMILAR)
    assert held.compared == 1 + 2, "the one that was under way, and the other search's"
    assert metrics.registry.get_sample_value("lookalike_searcher_verified_total", {"result": "similar"}) == 2


async def test_a_stored_fingerprint_that_is_broken_has_no_proof(held: Held) -> None:
    held.go_on.set()
    async with ComparisonThreads(2) as threads:
        verifier = Verifier(threads, Metrics())
        broken = Fingerprint(PRINT.picture, b"")
        assert await asked(verifier, {HASHES[0]: broken, HASHES[1]: PRINT}, 2) == {HASHES[1]: SIMILAR}
