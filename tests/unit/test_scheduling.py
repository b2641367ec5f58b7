"""Which threads get the policy of an overloaded server, and what if they may not."""

import os
import threading
from typing import NoReturn

import pytest

from lookalike_serving.scheduling import Scheduling


def test_a_thread_with_a_policy_of_its_own_keeps_it() -> None:
    chosen, may_end = threading.Event(), threading.Event()

    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        chosen.set()
        may_end.wait()

    thread, scheduling = threading.Thread(target=idle), Scheduling()
    thread.start()
    chosen.wait()
    assert thread.native_id
    found = []
    for wait_seconds in (1, 0):
        scheduling.note(wait_seconds)
        found.append((os.sched_getscheduler(thread.native_id), os.sched_getscheduler(0)))
    may_end.set()
    thread.join()
    assert found == [(os.SCHED_IDLE, os.SCHED_BATCH), (os.SCHED_IDLE, os.SCHED_OTHER)]


def test_a_server_goes_on_where_a_sandbox_allows_no_other_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    scheduling = Scheduling()
    scheduling.note(1)
    scheduling.note(0)
