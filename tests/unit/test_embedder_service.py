"""What the embedder's service refuses itself, and what it tells the engine of each call's deadline."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lookalike.v1 import embedder_pb2 as wire
from lookalike_embedder.errors import Overloaded
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.service import EmbedderService
from lookalike_serving.errors import ShuttingDown
from lookalike_serving.server import Draining

CONTEXT = cast("Any", SimpleNamespace(time_remaining=lambda: 1.5))


class FullEngine:
    """Refuses all; notes how long callers would wait."""

    def __init__(self) -> None:
        self.seconds: list[float | None] = []

    async def embed(self, data: bytes, *, seconds: float | None, **_: bool) -> None:
        self.seconds.append(seconds)
        raise Overloaded(9, 0.5)

    async def embed_text(self, text: str, *, seconds: float | None = None) -> None:
        await self.embed(text.encode(), seconds=seconds)


async def test_the_engine_is_told_of_a_calls_deadline_and_not_asked_once_the_server_drains() -> None:
    engine, draining, metrics = FullEngine(), Draining(), Metrics()
    description = wire.GetModelResponse(space="space", dimensions=2, text_encoder=wire.TextEncoder())
    service = EmbedderService(
        description, cast("Any", engine), draining, metrics, max_streams=0, max_stream_age=60, fingerprints=False
    )
    for refusal in (Overloaded, ShuttingDown):
        with pytest.raises(refusal):
            await service.Embed(wire.EmbedRequest(image=b"\1"), CONTEXT)
        with pytest.raises(refusal):
            await service.EmbedText(wire.EmbedTextRequest(text="red"), CONTEXT)
        draining.begin()
    assert engine.seconds == [1.5, 1.5]
    with pytest.raises(Overloaded):
        await anext(aiter(service.EmbedStream(cast("Any", None), CONTEXT)))
    labels = {"lane": "bulk", "reason": "OVERLOADED"}
    assert metrics.registry.get_sample_value("lookalike_embedder_errors_total", labels) == 1
