"""VGG16 as it is served beside its own ONNX file behind --model, both through the RPC, taking turns.

A clock shows what callers see. Processor time shows the same where other work disturbs the machine.
"""

import asyncio
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import psutil

from lookalike.processes import ServerProcess
from tests.bench.bulk_load import Load
from tests.bench.figures import Figure
from tests.bench.interleaving import Paces, ratio, take_turns
from tests.bench.setting import Setting

_STREAMS = 2
_PHOTOS = 12
_OURS, _FP32, _ONNX = "native", "native_fp32", "onnx"


async def measure(setting: Setting) -> list[Figure]:
    """Export VGG16, serve it in three ways, and take turns."""
    with tempfile.TemporaryDirectory(prefix="lookalike-onnx-") as folder:
        file = await _exported(Path(folder), setting)
        async with AsyncExitStack() as stack:
            options = {_OURS: [], _FP32: ["--precision", "fp32"], _ONNX: ["--model", str(file)]}
            servers = {name: await stack.enter_async_context(setting.embedder(*of)) for name, of in options.items()}
            spent: dict[str, list[float]] = {name: [] for name in servers}
            parties = {name: partial(_pace, setting, server, spent[name]) for name, server in servers.items()}
            paces = await take_turns(parties, setting.rounds)
    return _figures(paces, spent, {name: server.description for name, server in servers.items()})


async def _exported(folder: Path, setting: Setting) -> Path:
    """VGG16 as an ONNX file, as the command writes it."""
    (photos := folder / "photos").mkdir()
    for number, data in enumerate(setting.jpegs[:_PHOTOS]):
        (photos / f"{number}.jpg").write_bytes(data)
    file = folder / "vgg16.onnx"
    command = (sys.executable, "-m", "lookalike_embedder", "export", "vgg16", str(file), str(photos))
    process = await asyncio.create_subprocess_exec(*command, stdout=setting.log, stderr=setting.log)
    if await process.wait():
        raise RuntimeError("VGG16 could not be exported; see --log")
    return file


async def _pace(setting: Setting, server: ServerProcess, spent: list[float]) -> float:
    """Images per second; the processor seconds of each go to `spent`."""
    process = psutil.Process(server.process.pid)
    async with Load(server.address, setting.endless(), _STREAMS) as load:
        before, answers = _cpu_seconds(process), load.answers
        pace = await load.pace(setting.seconds)
        spent.append((_cpu_seconds(process) - before) / (load.answers - answers))
    return pace


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _figures(paces: Paces, spent: Paces, notes: dict[str, str]) -> list[Figure]:
    rounds = f"median of {len(paces[_OURS])} rounds in turns, {_STREAMS} streams"
    found = []
    for other, what in ((_OURS, "VGG16 without --model"), (_FP32, "the same in fp32")):
        name = other.replace("native", "onnx_over_native")
        found += [
            Figure(name, ratio(paces, _ONNX, other), f"--model vgg16.onnx over {what}, images/s, {rounds}"),
            Figure(f"{name}_cpu", ratio(spent, other, _ONNX), "the same, by processor time of the servers"),
        ]
    for name, note in notes.items():
        found += [
            Figure(f"{name}_served_images_per_second", statistics.median(paces[name]), note),
            Figure(
                f"{name}_cpu_ms",
                1e3 * statistics.median(spent[name]),
                "processor time of an image, decoding and RPC too",
            ),
        ]
    return found
