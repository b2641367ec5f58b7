"""Attacks the gRPC servers by calls that they refuse, of the largest size: `python -m tests.bench.attack.grpc`.

The searcher is a real one with a PostgreSQL of its own; the embedder is a real one with its model. Both ask for tokens.
Honest callers search and embed meanwhile, and probes ask both how they are.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from lookalike.processes import ServerProcess, running
from lookalike.v1 import embedder_pb2 as embedder
from lookalike.v1 import searcher_pb2 as searcher
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.signing import Signer, bearer, jwks

_CALLS: Final = 1_000
_WARM_UP: Final = 100
_SETTLE_SECONDS: Final = 6.0
"""The servers give back every two seconds what they have freed."""
_HONEST_SECONDS: Final = 0.05
"""Between two calls of an honest caller, and between two probes."""
_MEGABYTE: Final = 1_000_000


@dataclass
class Servers:
    """Both, with a project in the searcher, and who signs tokens."""

    searcher: ServerProcess
    embedder: ServerProcess
    signer: Signer

    def tokens(self) -> dict[str, str]:
        """By name; each is good for an hour."""
        until = time.time() + 3600
        scopes = {"all": "read write admin", "reader": "read", "administrator": "admin"}
        return {name: self.signer.token(scope, exp=until, sub=name) for name, scope in scopes.items()}

    def resident(self) -> float:
        """Their memory, in megabytes."""
        pids = (self.searcher.process.pid, self.embedder.process.pid)
        return sum(psutil.Process(pid).memory_info().rss for pid in pids) / _MEGABYTE


@dataclass
class Beside:
    """What honest callers see."""

    lost: int = 0
    answered: int = 0
    longest: float = 0.0
    errors: list[str] = field(default_factory=list)

    async def call(self, one: Callable[[], Awaitable[object]], *, timed: bool) -> None:
        """Make the same call again and again."""
        while True:
            began = time.perf_counter()
            try:
                await one()
                self.answered += 1
            except grpc.aio.AioRpcError as error:
                self.lost += 1
                self.errors.append(f"{error.code()}: {error.details()}")
            if timed:
                self.longest = max(self.longest, time.perf_counter() - began)
            await asyncio.sleep(_HONEST_SECONDS)


@asynccontextmanager
async def served(log: IO[bytes]) -> AsyncIterator[Servers]:
    """Both servers, while the block lasts."""
    signer = Signer()
    with tempfile.TemporaryDirectory(prefix="lookalike-attack-") as name:
        keys = Path(name) / "jwks.json"
        keys.write_text(jwks(signer))
        common = ["--port", "0", "--metrics-port", "0", "--jwks", str(keys)]
        async with (
            running("lookalike_searcher", [*common, "--data-dir", f"{name}/data"], log) as one,
            running("lookalike_embedder", [*common, "--max-batch-size", "1"], log) as other,
        ):
            yield Servers(one, other, signer)


async def attack(servers: Servers, count: int) -> dict[str, int]:
    """Send hostile calls from a process of its own; what was answered how often."""
    plan = servers.tokens() | {"searcher": servers.searcher.address, "embedder": servers.embedder.address}
    command = (sys.executable, "-m", "tests.bench.attack.refused_calls", json.dumps({**plan, "count": count}))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    answers: dict[str, int] = json.loads(output)
    return answers


@asynccontextmanager
async def honest(servers: Servers) -> AsyncIterator[Beside]:
    """Callers and probes, beside the block."""
    seen, tokens = Beside(), bearer(servers.tokens()["all"])
    async with (
        grpc.aio.insecure_channel(servers.searcher.address) as to_searcher,
        grpc.aio.insecure_channel(servers.embedder.address) as to_embedder,
    ):
        search, embed = SearcherServiceStub(to_searcher), EmbedderServiceStub(to_embedder)
        space = (await embed.GetModel(embedder.GetModelRequest(), metadata=tokens)).space
        await search.CreateProject(searcher.CreateProjectRequest(name="honest", space=space), metadata=tokens)
        photo = embedder.EmbedRequest(image=_photo())
        vector = (await embed.Embed(photo, metadata=tokens)).embedding
        query = searcher.SearchRequest(project="honest", embedding=vector)
        probe = health_pb2.HealthCheckRequest()
        work = [
            seen.call(lambda: search.Search(query, metadata=tokens), timed=False),
            seen.call(lambda: embed.Embed(photo, metadata=tokens), timed=False),
            *(
                seen.call(partial(stub.Check, probe), timed=True)  # type: ignore[attr-defined] # types of the sync stack
                for stub in _probes(to_searcher, to_embedder)
            ),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await search.DeleteProject(searcher.DeleteProjectRequest(name="honest"), metadata=tokens)


def _probes(*channels: grpc.aio.Channel) -> list[health_pb2_grpc.HealthStub]:
    return [health_pb2_grpc.HealthStub(channel) for channel in channels]


def _photo() -> bytes:
    """A small image, which the embedder's cache answers for from its second call on."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


async def measured(servers: Servers, calls: int) -> tuple[dict[str, int], Beside, float]:
    """Attack; what was answered, what honest callers saw, and by how many megabytes memory grew."""
    async with honest(servers):
        await attack(servers, _WARM_UP)
    await asyncio.sleep(_SETTLE_SECONDS)
    before = servers.resident()
    async with honest(servers) as seen:
        answers = await attack(servers, calls)
    await asyncio.sleep(_SETTLE_SECONDS)
    return answers, seen, servers.resident() - before


async def measure(calls: int = _CALLS) -> dict[str, float]:
    """The figures. Raises AssertionError if a hostile call was answered with another status than it should be."""
    with tempfile.TemporaryFile() as log:
        async with served(log) as servers:
            answers, seen, growth = await measured(servers, calls)
    unexpected = {answer: count for answer, count in answers.items() if ":" in answer}
    assert not unexpected, unexpected
    return {
        "refused_calls_memory_growth_mb": round(growth, 1),
        "health_wait_ms_under_attack": round(seen.longest * 1000, 1),
        "answers_lost_of_honest_callers": seen.lost,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else _CALLS))))
