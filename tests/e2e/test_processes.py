"""Several processes of a searcher on one port: all serve, a killed one is replaced, and none outlives the first."""

import re
from contextlib import suppress
from pathlib import Path

import grpc
import psutil
import pytest

from lookalike.processes import ServerFailed, ServerProcess, running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.data_dir import initialised
from tests.polling import until
from tests.served_metrics import served, total


def children(server: ServerProcess) -> dict[int, psutil.Process]:
    """The processes that serve, by number."""
    found = {}
    for process in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "spawn_main" in " ".join(process.cmdline()):
                found[process.pid] = process
    return found


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended, waited for or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def asked(server: ServerProcess) -> None:
    """Make a call on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.address, options=options) as channel:
        await SearcherServiceStub(channel).ListProjects(wire.ListProjectsRequest(), wait_for_ready=True)


async def all_serve(server: ServerProcess) -> bool:
    """Whether each process has answered a call, after one more."""
    await asked(server)
    ports = re.findall(r"\d+", server.description.rpartition("ports ")[2])
    assert len(ports) == 2
    ended = "lookalike_searcher_rpc_seconds_count"
    return all(total(served(int(port)), ended, method="ListProjects") for port in ports)


async def test_each_serves_and_is_replaced_when_killed_and_ends_with_the_first(tmp_path: Path) -> None:
    flags = ["--port", "0", "--data-dir", str(initialised(tmp_path)), "--processes", "2"]
    async with running("lookalike_searcher", flags) as server:
        await until(lambda: all_serve(server))
        killed, kept = children(server).values()
        killed.kill()

        async def replaced() -> bool:
            now = children(server)
            return len(now) == 2 and killed.pid not in now

        await until(replaced)
        assert kept.pid in children(server)
        left = list(children(server).values())
        server.process.kill()
        await until(lambda: gone(left))
    async with running("lookalike_searcher", flags) as server:  # the killed one's database is recovered
        await asked(server)
        left = list(children(server).values())
        server.process.terminate()
        assert await server.process.wait() == 0
        assert await gone(left)


async def gone(processes: list[psutil.Process]) -> bool:
    return all(is_gone(process) for process in processes)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    flags = ["--data-dir", str(initialised(tmp_path)), "--processes", "2"]
    async with running("lookalike_searcher", ["--port", "0", *flags]) as server:
        port = server.address.rpartition(":")[2]
        with (tmp_path / "log").open("w+b") as log, pytest.raises(ServerFailed, match=f"cannot listen on .*:{port}"):
            async with running("lookalike_searcher", ["--port", port, *flags], log):
                pass
