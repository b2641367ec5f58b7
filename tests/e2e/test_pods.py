"""Several embedders behind one name, as a headless service has it: they come, go and drain in mid-run."""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import DNSLogger, DNSServer
from PIL import Image

from lookalike import Client, Item, Outcome, Status
from lookalike.processes import ServerProcess, running
from tests.data_dir import initialised
from tests.duration import LONG
from tests.pictures import encoded
from tests.served_metrics import metrics_port, served, total

IN_FLIGHT = 24
"""Items that the run has open at once: enough to keep all pods busy, few enough to see soon what has changed."""


class Names:
    """Answers every question for addresses with the same ones, those of the pods that are there."""

    def __init__(self) -> None:
        self.pods: list[str] = []

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            for pod in self.pods:
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(pod), ttl=1))
        return reply


@pytest.fixture
def names() -> Iterator[tuple[Names, int]]:
    """A DNS server and its port."""
    names = Names()
    server = DNSServer(names, address="127.0.0.1", port=0, logger=DNSLogger("-request,-reply"))
    server.start_thread()
    yield names, server.server.server_address[1]
    server.stop()
    server.server.server_close()


def free_port() -> int:
    """One that is free on all addresses: the pods of a name share it."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def embedder(host: str, port: int) -> AbstractAsyncContextManager[ServerProcess]:
    """A pod that takes one image at a time, so that three share this machine, and ages fast; its model is quick."""
    flags = {"--host": host, "--port": port, "--metrics-port": 0, "--max-connection-age": 5}
    flags |= {"--max-batch-size": 1, "--workers": 1, "--decode-threads": 1}
    module = "lookalike_embedder" if LONG else "tests.thumbnail_embedder"
    return running(module, [str(part) for flag in flags.items() for part in flag])


def embedded_by(pod: ServerProcess) -> int:
    """How many images of runs it has embedded so far, by its metrics."""
    samples = served(metrics_port(pod), pod.address.rpartition(":")[0])
    return round(total(samples, "lookalike_embedder_images_total", lane="bulk"))


class Run:
    """Indexes new pictures until it is told that it is enough."""

    def __init__(self, client: Client) -> None:
        self.indexed: Counter[str] = Counter()
        self.given = 0
        self._enough = False
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._outcomes = client.index("pods", self._items())

    async def until(self, happened: Callable[[], bool]) -> None:
        """Go on until something has happened."""
        async for outcome in self._outcomes:
            self._note(outcome)
            if await asyncio.to_thread(happened):
                return
        raise AssertionError("the run has ended too soon")

    async def more(self) -> None:
        """Go on until all that is in flight now has been answered, and some more."""
        goal = len(self.indexed) + 2 * IN_FLIGHT
        await self.until(lambda: len(self.indexed) >= goal)

    async def end(self) -> None:
        """Give it no more, and let it finish."""
        self._enough = True
        async for outcome in self._outcomes:
            self._note(outcome)

    async def _items(self) -> AsyncIterator[Item]:
        noise = np.random.default_rng(0)
        while not self._enough:
            picture = Image.fromarray(noise.integers(0, 256, (48, 64, 3), np.uint8))
            self.given += 1
            yield Item(image=encoded(picture, "PNG"), uri=str(self.given))
            await self._room.acquire()

    def _note(self, outcome: Outcome) -> None:
        assert outcome.status is Status.INDEXED, outcome
        self.indexed[outcome.uri] += 1
        self._room.release()


async def test_a_run_loses_and_repeats_nothing_while_a_pod_comes_one_is_killed_and_one_drains(
    names: tuple[Names, int], tmp_path: Path
) -> None:
    dns, dns_port = names
    port = free_port()
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    async with AsyncExitStack() as processes:
        searcher, first, second = await asyncio.gather(
            processes.enter_async_context(
                running("lookalike_searcher", ["--port", "0", "--data-dir", str(initialised(tmp_path))])
            ),
            processes.enter_async_context(embedder(hosts[0], port)),
            processes.enter_async_context(embedder(hosts[1], port)),
        )
        dns.pods = hosts[:2]
        async with Client(f"dns://127.0.0.1:{dns_port}/embedder.test:{port}", searcher.address) as client:
            await client.create_project("pods")
            run = Run(client)
            await run.until(lambda: embedded_by(first) > 0 and embedded_by(second) > 0)

            coming = asyncio.create_task(processes.enter_async_context(embedder(hosts[2], port)))
            await run.until(coming.done)
            third = await coming
            dns.pods = hosts
            await run.until(lambda: embedded_by(third) > 0)

            first.process.kill()
            await run.more()

            second.process.send_signal(signal.SIGTERM)
            await run.until(lambda: second.process.returncode is not None)
            assert second.process.returncode == 0
            before = embedded_by(third)
            await run.more()
            assert embedded_by(third) >= before + IN_FLIGHT

            await run.end()
            assert run.indexed == {str(number): 1 for number in range(1, run.given + 1)}
            assert (await client.get_project("pods")).image_count == run.given
