"""Run the embedder as a process of its own, with the check's weights, and put load on it from others."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from tools.gpu.setting import Setting

if TYPE_CHECKING:
    from lookalike_embedder.config import Precision

FORK: Final = multiprocessing.get_context("fork")
"""A forked process has torch imported already. It must be forked before this process uses the GPU, or gRPC."""

_STREAMS: Final = 2


@contextmanager
def embedder(setting: Setting, *, faulty: bool = False, **options: Any) -> Iterator[tuple[str, str, BaseProcess]]:  # noqa: ANN401
    """Yield the address of a ready server, its own description, and its process.

    Args:
        setting: the weights, and where to compute.
        faulty: whether the server loses its device on a picture that is all black.
        options: further settings of `Config`.
    """
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=_serve, args=(setting, theirs, faulty, options))
    process.start()
    theirs.close()
    try:
        ready = ours.recv()
        yield ready.split()[3], ready.partition(" (")[2].rstrip(")"), process
    except EOFError:
        process.join(10)
        raise RuntimeError(f"the embedder ended with {process.exitcode} before it was ready") from None
    finally:
        process.terminate()
        process.join(10)
        process.kill()


def _serve(setting: Setting, ready: Connection, faulty: bool, options: dict[str, Any]) -> None:
    """Serve until a signal, and end as `lookalike-embedder` does."""
    from lookalike_embedder.config import Config
    from lookalike_embedder.errors import DeviceLost, Stuck
    from lookalike_embedder.loading import Loaded, vgg16
    from lookalike_embedder.server import run
    from lookalike_embedder.weights import Weights
    from lookalike_serving.server import calm_collector
    from tools.gpu.fault import losing

    def load(config: Config) -> Loaded:
        loaded = vgg16(config, Weights(dict(setting.trunk.tensors), setting.trunk.sha256, setting.trunk.source))
        return losing(loaded, setting.device) if faulty else loaded

    chosen = {"port": 0, "cache_size": 0, "probe_interval": 3600.0, "device": setting.device, **options}
    if setting.short:
        chosen = {"max_batch_size": 1, "workers": 1, **chosen}
    precision = cast("Precision", setting.chosen_precision)
    config = Config(cache_dir=Path(setting.scratch), precision=precision, **chosen)
    calm_collector()
    status = 0
    try:
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            runner.run(run(config, ready.send, load, scraped=False))
    except (DeviceLost, Stuck) as error:
        print(f"  the embedder ended: {error}", file=sys.stderr)
        status = 1
    finally:
        ready.close()
    os._exit(status)


def event_loop() -> Any:  # noqa: ANN401 - uvloop has its own type
    """Return uvloop's loop factory if it is installed, as in the embedder's program; otherwise None."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@contextmanager
def load_on(address: str, messages: Sequence[bytes], processes: int, *, waits: bool = False) -> Iterator["Loads"]:
    """Run bulk streams that saturate an embedder, from so many processes. If `waits`, they start at `begin`."""
    counters = [FORK.Value("Q", 0) for _ in range(processes)]
    begun = FORK.Event()
    clients = [FORK.Process(target=_load, args=(address, messages, begun, counter)) for counter in counters]
    for client in clients:
        client.start()
    loads = Loads(clients, counters, begun.set)
    if not waits:
        loads.begin()
    try:
        yield loads
    finally:
        for client in clients:
            client.kill()
            client.join(10)


class Loads:
    """The load comes from some processes, and counts their answers."""

    def __init__(
        self, clients: Sequence[BaseProcess], counters: Sequence[Any], begin: Callable[[], None] = lambda: None
    ) -> None:
        self._clients, self._counters = clients, counters
        self.begin = begin

    async def pace(self, seconds: float) -> float:
        """Return the answers a second of all processes, in the steady state."""
        from tests.bench.interleaving import steady_pace

        return await steady_pace([asyncio.create_task(self._fails())], self.answers, seconds, warm_up=seconds / 2)

    def answers(self) -> int:
        """Return the number of answers so far."""
        return sum(counter.value for counter in self._counters)

    async def _fails(self) -> None:
        while all(client.is_alive() for client in self._clients):  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.05)
        raise RuntimeError("a process that makes load has ended")


def _load(address: str, messages: Sequence[bytes], begun: Any, counter: Any) -> None:  # noqa: ANN401
    begun.wait()

    async def go() -> None:
        import itertools

        from tests.bench.bulk_load import Load

        async with Load(address, itertools.cycle(messages), _STREAMS) as load:
            while True:
                await asyncio.sleep(0.002)
                if load.failures:
                    raise RuntimeError(f"{load.failures} of {load.answers} answers are failures")
                counter.value = load.answers

    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(go())
