"""Measure LitServe with our model and our decoder, if it is installed: the same GPU behind another server."""

import asyncio
import os
import sys
from importlib.util import find_spec
from typing import Final

from tools.gpu.record import Record
from tools.gpu.setting import Setting

_FIGURE: Final = "gpu_litserve_images_per_second"
_TUNINGS: Final = (("--workers", "2", "--batch", "64"), ("--workers", "4", "--batch", "64"))


def run(setting: Setting, record: Record) -> None:
    """Record the images a second of LitServe, the faster of two settings."""
    if missing := [name for name in ("litserve", "aiohttp", "safetensors", "platformdirs") if find_spec(name) is None]:
        return record.figure(_FIGURE, None, f"{', '.join(missing)} not installed")
    if setting.short:
        return record.figure(_FIGURE, None, "left out of the short form")
    return asyncio.run(_measure(setting, record))


async def _measure(setting: Setting, record: Record) -> None:
    from safetensors.numpy import save_file

    from tests.bench import litserve_processes

    weights = setting.scratch / "trunk.safetensors"
    save_file(setting.trunk.tensors, weights)
    named = ("--weights", str(weights), "--weights-sha256", setting.trunk.sha256)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # for LitServe's own processes
    best = 0.0
    for tuning in _TUNINGS:
        arguments = ("tuned", "--precision", setting.chosen_precision, *named, *tuning)
        with (setting.scratch / "litserve.log").open("wb") as log:
            async with litserve_processes.serving(arguments, log) as rival:
                rate = await rival.pace(setting.jpegs, setting.seconds, device=setting.device)
        record.figure(f"litserve {' '.join(tuning)}", rate, "images/s over HTTP")
        best = max(best, rate)
        record.figure(_FIGURE, best, "images/s, the faster of its settings")
