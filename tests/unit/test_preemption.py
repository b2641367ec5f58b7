"""The gate: bulk work stands aside while urgent work computes, but not for ever."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from lookalike_embedder.preemption import Gate


def test_an_open_gate_costs_no_time() -> None:
    assert Gate().wait(60) == 0


def test_a_closed_gate_holds_until_all_that_is_urgent_is_done() -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as thread:
        with gate.urgent():
            with gate.urgent():
                waiting = thread.submit(gate.wait, 60)
            assert not waiting.done()
        assert 0 < waiting.result(10) < 60


def test_patience_has_an_end() -> None:
    gate = Gate()
    with gate.urgent():
        assert gate.wait(0.01) >= 0.01
        assert gate.wait(0) == 0
        assert gate.wait(-1) == 0


def test_a_failure_opens_the_gate_too() -> None:
    gate = Gate()
    with suppress(RuntimeError), gate.urgent():
        raise RuntimeError
    assert gate.wait(60) == 0
