"""A searcher whose process stands still again and again: it is slow, and that is no outage."""

import asyncio
import signal
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.processes import ServerProcess, running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_serving.health_probe import SLOW_IN_A_ROW
from tests.data_dir import initialised
from tests.polling import until
from tests.served_metrics import metrics_port, served, total
from tests.supervisor import connected

INTERVAL = 0.7
"""Seconds between two probes, and after which one is slow."""
STOPPED = INTERVAL * 1.2
"""Seconds for which the process stands still."""
_PROBED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE query = 'SELECT FROM lookalike_project LIMIT 1' AND wait_event_type = 'Lock'"
)
_LAG = "lookalike_searcher_loop_lag_seconds"


def late_wakes(server: ServerProcess) -> float:
    """How often the searcher's event loop woke half a second late or more, by its metrics."""
    samples = served(metrics_port(server))
    return total(samples, f"{_LAG}_count") - total(samples, f"{_LAG}_bucket", le="0.5")


async def test_a_process_that_stands_still_while_calls_wait_stays_in_service_and_tells_its_lag(tmp_path: Path) -> None:
    """One probe is under way all the time, which is late by the clock as often as makes an outage."""
    data_dir = initialised(tmp_path)
    while not await stands_still(tmp_path, data_dir):
        pass


async def stands_still(tmp_path: Path, data_dir: Path) -> bool:
    """Test it; False if the machine was so slow that the probe was, too, while the process ran: that proves nothing."""
    flags = ["--port", "0", "--probe-interval", str(INTERVAL), "--data-dir", str(data_dir)]
    async with (
        running("lookalike_searcher", flags) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        connected(tmp_path) as connection,
    ):
        health, whole = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
        watch = health.Watch(whole)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        change = asyncio.ensure_future(watch.read())
        before, calls = late_wakes(server), []
        async with connection.transaction():
            await connection.execute("LOCK TABLE lookalike_project IN ACCESS EXCLUSIVE MODE")
            proves_until = time.monotonic() + INTERVAL * (SLOW_IN_A_ROW - 1)
            await until(lambda: connection.fetchval(_PROBED))
            for number in range(1, SLOW_IN_A_ROW + 1):
                server.process.send_signal(signal.SIGSTOP)
                calls.append(SearcherServiceStub(channel).ListProjects(wire.ListProjectsRequest()))
                await asyncio.sleep(STOPPED)  # which is what the process loses
                proves_until += STOPPED
                server.process.send_signal(signal.SIGCONT)
                await until(lambda: asyncio.sleep(0, late_wakes(server) >= before + number))  # noqa: B023 - called now
                status = (await health.Check(whole)).status
                if time.monotonic() > proves_until:
                    return False
                assert status == health_pb2.HealthCheckResponse.SERVING
        assert [len((await call).projects) for call in calls] == [0] * SLOW_IN_A_ROW
        assert not change.done(), "the health changed"
        watch.cancel()
        change.cancel()
    return True
