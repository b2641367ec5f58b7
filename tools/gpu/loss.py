"""Check that a server that loses its device tells its callers and its health's watchers, and ends."""

import asyncio
import io
from typing import Any

from PIL import Image

from tools.gpu.record import Record
from tools.gpu.served import embedder
from tools.gpu.setting import Setting


def run(setting: Setting, record: Record) -> None:
    """Lose the device for real, by a kernel that asserts, and record what happens."""
    with embedder(setting, faulty=True, max_batch_size=1, workers=1) as (address, _, process):
        health, reason = asyncio.run(_lose(setting, address))
        process.join(20)
        status = process.exitcode
    record.figure("lost_device_reason", reason, "what the caller is told")
    record.figure("lost_device_health", health, "what a watcher of its health is told")
    record.figure("lost_device_exit", "none" if status is None else status, "the exit status of its process")
    right = reason == "DEVICE_LOST" and health == "NOT_SERVING" and status == 1
    record.figure("lost_device", right, "all three as they should be", least=1)


async def _lose(setting: Setting, address: str) -> tuple[str, str]:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from lookalike import errors
    from lookalike.v1 import embedder_pb2 as wire
    from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub

    async with grpc.aio.insecure_channel(address) as channel:
        stub = EmbedderServiceStub(channel)
        watch: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
        await watch.read()
        await stub.Embed(wire.EmbedRequest(image=setting.jpegs[0]))
        try:
            await stub.Embed(wire.EmbedRequest(image=_black()))
            reason = "none: it answered"
        except grpc.aio.AioRpcError as error:
            reason = errors.from_rpc(error, "embedder").reason
        try:
            answer = await asyncio.wait_for(watch.read(), 20)
        except TimeoutError:
            return "nothing in 20 s", reason
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status), reason


def _black() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()
