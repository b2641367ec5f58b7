"""Measure the whole way: JPEGs through the RPC, from our client in its own process, and from one that does less."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.gpu.record import Record
from tools.gpu.served import FORK, Loads, embedder, event_loop, load_on
from tools.gpu.setting import Setting
from tools.gpu.timing import watched

_CLIENT_STREAMS = 4
_LEAN_PROCESSES = 2


def run(setting: Setting, record: Record) -> None:
    """Measure with our client, and then with clients whose messages are prepared, to see which side is the limit."""
    from google.protobuf.internal import api_implementation

    with embedder(setting) as (address, description, server):
        record.figure("served", description)
        with _our_client(setting, address) as (client, loads):
            rate, on = _measured(setting, loads, {"embedder": server.pid, "client": client.pid})
        wire = f"protobuf in {api_implementation.Type()}"
        record.figure(
            "gpu_rpc_images_per_second", rate, f"images/s, our client, {_CLIENT_STREAMS} streams; {wire}; {on}"
        )
        with load_on(address, messages(setting), 1 if setting.short else _LEAN_PROCESSES) as loads:
            rate, on = _measured(setting, loads, {"embedder": server.pid})
        record.figure(
            "rpc_lean_images_per_second", rate, f"images/s, {_LEAN_PROCESSES} clients with ready messages; {on}"
        )


def messages(setting: Setting) -> list[bytes]:
    """Return the photos as our client sends them, several in a message."""
    from lookalike._transport.message_batches import IMAGES
    from lookalike.v1 import embedder_pb2 as wire

    requests = [wire.EmbedStreamRequest(sequence=number, image=data) for number, data in enumerate(setting.jpegs)]
    return [message.SerializeToString() for message in IMAGES.pack(requests)]


def _measured(setting: Setting, loads: Loads, pids: dict[str, int | None]) -> tuple[float, str]:
    """Return the images a second, and which processes were busy."""

    async def pace() -> float:
        return await loads.pace(setting.seconds)

    before, started = {name: _cpu_seconds(pid) for name, pid in pids.items()}, _now()
    with watched(setting.device) as busy:
        rate = asyncio.run(pace())
    seconds = _now() - started
    used = (f"{name} used {(_cpu_seconds(pid) - before[name]) / seconds:.1f} cores" for name, pid in pids.items())
    return rate, f"{', '.join(used)}; {busy}"


def _now() -> float:
    return os.times().elapsed


def _cpu_seconds(pid: int | None) -> float:
    """Return the CPU seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _our_client(setting: Setting, address: str) -> Iterator[tuple[Any, Loads]]:
    counter = FORK.Value("Q", 0)
    process = FORK.Process(target=_client, args=(address, setting.jpegs, counter))
    process.start()
    try:
        yield process, Loads([process], [counter])
    finally:
        process.kill()
        process.join(10)


def _client(address: str, jpegs: list[bytes], counter: Any) -> None:  # noqa: ANN401 - of multiprocessing
    """Embed as `index` does: from a queue of requests, over several streams."""
    from lookalike._operations import embedding
    from lookalike._transport.call import Call
    from lookalike._transport.servers import Servers
    from lookalike.credentials import Credentials
    from lookalike.v1 import embedder_pb2 as wire
    from lookalike_serving.server import calm_collector

    async def go() -> None:
        call = Call(Servers(address, address, 60.0, Credentials()))
        requests: asyncio.Queue[wire.EmbedStreamRequest | None] = asyncio.Queue(256)

        async def feed() -> None:
            for number, data in enumerate(itertools.cycle(jpegs)):
                await requests.put(wire.EmbedStreamRequest(sequence=number, image=data))

        feeding = asyncio.create_task(feed())
        async for answer in embedding.bulk(call, requests, _CLIENT_STREAMS).answers():
            if not answer.HasField("embedding"):
                raise RuntimeError(f"an image failed: {answer.error}")
            counter.value += 1
        feeding.cancel()

    calm_collector()
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(go())
