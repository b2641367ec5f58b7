"""The load generator: Locust, whose users each make one kind of call.

An open loop: a user's calls begin at random moments (a Poisson process) that do not depend on answers, each in a
greenlet of its own, and are timed from the moment when they were due. So a server that stalls is not spared the calls
that would have come meanwhile (no coordinated omission).

Run by `python -m gevent.monkey --module`, which patches the standard library before anything else is imported.
"""

import random
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

import gevent
import grpc
import httpx
from gevent.pool import Group
from google.rpc.error_details_pb2 import ErrorInfo
from grpc.experimental import gevent as grpc_gevent
from grpc_status import rpc_status
from locust import User
from locust.env import Environment

from tests.bench.soak.call_log import Call, line
from tests.bench.soak.calls import DEADLINE_SECONDS, Caller, Kind, Wrong
from tests.bench.soak.plan import Plan

_READY: Final = "ready"
_MOST_AT_ONCE: Final = 500
"""Under gevent each gRPC call that waits takes a thread: of the default ten, slow calls would leave none for others."""


class Arrivals:
    """Begins the calls of all users, and waits for their ends."""

    def __init__(self, environment: Environment, plan: Plan) -> None:
        self._environment, self._plan = environment, plan
        self._calls = Group()

    def user(self, kind: Kind) -> type[User]:
        """A user of Locust's that makes these calls."""
        return type(kind.name, (User,), {"tasks": [lambda _: self._begin(kind)], "fixed_count": 1})

    def finish(self) -> None:
        """Wait for the answers that are still to come."""
        self._calls.join()

    def _begin(self, kind: Kind) -> None:
        """Begin calls for as long as the plan says, then wait to be stopped."""
        dice, due = random.Random(kind.name), time.monotonic()  # noqa: S311 - no secret
        end = due + self._plan.seconds
        while (due := due + dice.expovariate(kind.rate * self._plan.pace)) < end:
            gevent.sleep(max(0.0, due - time.monotonic()))
            self._calls.start(gevent.Greenlet(self._make, kind, due))
        gevent.sleep(2 * DEADLINE_SECONDS)

    def _make(self, kind: Kind, due: float) -> None:
        error: Exception | None = None
        try:
            kind.call()
        except Exception as caught:  # what goes wrong is the result
            error = caught
        call = Call(kind.name, due, time.monotonic(), described(error))
        self._environment.events.request.fire(
            request_type="call",
            name=kind.name,
            response_time=call.seconds * 1000,
            response_length=0,
            exception=error,
            context={"call": call},
        )


def described(error: Exception | None) -> str:
    """Status and reason; empty for none."""
    match error:
        case None:
            return ""
        case grpc.RpcError():
            return f"{error.code().name} {_reason(error)}".strip()
        case httpx.HTTPStatusError():
            return f"HTTP {error.response.status_code} {error.response.json().get('reason', '')}".strip()
        case Wrong():
            return str(error)
    return f"{type(error).__name__}: {error}"


def _reason(error: Any) -> str:  # noqa: ANN401 - grpc has no type for an error that is a call too
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _keep(environment: Environment, ledger: IO[str]) -> None:
    def write(context: dict[str, Call], **_: object) -> None:
        ledger.write(line(context["call"]))

    environment.events.request.add_listener(write)


def main() -> None:
    """Generate load by the plan that the command line has."""
    gevent.get_hub().threadpool.maxsize = _MOST_AT_ONCE
    grpc_gevent.init_gevent()
    plan = Plan.read(sys.argv[1])
    environment = Environment()
    arrivals = Arrivals(environment, plan)
    environment.user_classes = [arrivals.user(kind) for kind in Caller(plan).kinds()]
    users = len(environment.user_classes)
    with Path(plan.ledger).open("w") as ledger:
        _keep(environment, ledger)
        runner = environment.create_local_runner()
        runner.start(users, spawn_rate=users)
        print(_READY, flush=True)
        gevent.sleep(plan.seconds)
        arrivals.finish()
        runner.quit()
    print(time.process_time(), flush=True)


if __name__ == "__main__":
    main()
