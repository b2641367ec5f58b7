"""Record what this machine is: the card, its driver, its state, and what is installed; and how fast it multiplies."""

import os
import platform
import subprocess
from importlib import metadata
from typing import Final

from tools.gpu.record import NoGpu, Record
from tools.gpu.setting import Setting

_PACKAGES: Final = ("torch", "torchvision", "numpy", "pillow", "grpcio", "protobuf")
_QUERY: Final = (
    "name,driver_version,vbios_version,memory.total,memory.used,power.limit,power.draw,clocks.sm,clocks.max.sm,"
    "temperature.gpu,persistence_mode,mig.mode.current,compute_mode,clocks_throttle_reasons.active"
)
_FALLBACK_QUERY: Final = "name,driver_version,memory.total,power.limit,clocks.sm"
"""Every nvidia-smi knows these names: one unknown name costs the whole answer."""
DATASHEET: Final = {
    "H200": 989.0,
    "H100 80GB HBM3": 989.0,
    "H100 PCIe": 756.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
    "RTX 4090": 165.0,
    "T4": 65.0,
    "V100": 125.0,
}
"""Dense TFLOP/s in half precision, accumulated in fp32, by NVIDIA's datasheets and architecture white papers. Those
that give a figure "with sparsity" are halved. The first name that the card's name contains counts."""


def run(setting: Setting, record: Record) -> None:
    """Record what the system says, then what torch says."""
    record.figure("python", platform.python_version(), f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores")
    for package in _PACKAGES:
        record.figure(package, _version(package))
    record.figure("weights", setting.trunk.sha256[:16], setting.trunk.source)
    record.figure("photos", len(setting.jpegs), f"{sum(map(len, setting.jpegs)) / len(setting.jpegs):.0f} bytes each")
    for level, lacking in setting.lacking.items():
        if lacking:
            record.figure(f"lacking for {level}", None, ", ".join(lacking))
    if setting.device == "cuda":
        _card(record)
    if not setting.lacking["model"]:
        _peak(setting, record)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _card(record: Record) -> None:
    import torch

    for name, value in (smi(_QUERY) or smi(_FALLBACK_QUERY)).items():
        record.figure(f"card {name}", value)
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        properties = torch.cuda.get_device_properties(0)
    except (RuntimeError, AssertionError) as error:
        raise NoGpu(str(error).partition("\n")[0]) from error
    size = f"{properties.multi_processor_count} multiprocessors, {properties.total_memory / 2**30:.0f} GiB"
    record.figure("card", properties.name, f"compute capability {properties.major}.{properties.minor}, {size}")
    libraries = f"cuDNN {torch.backends.cudnn.version()}, built for {' '.join(torch.cuda.get_arch_list())}"  # type: ignore[no-untyped-call]
    record.figure("cuda", torch.version.cuda, f"{libraries}; {torch.cuda.device_count()} GPUs seen")
    record.figure("visible devices", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    peak_tflops = next((peak for name, peak in DATASHEET.items() if name in properties.name), None)
    record.figure(
        "gpu_datasheet_tflops", peak_tflops, "dense, half precision" if peak_tflops else "no datasheet is known here"
    )


def smi(query: str) -> dict[str, str]:
    """Return what nvidia-smi says of the first visible GPU; empty if there is no nvidia-smi or no GPU."""
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(query.split(","), (value.strip() for value in done.stdout.split("\n")[0].split(",")), strict=False))


def _peak(setting: Setting, record: Record) -> None:
    """Measure the card's peak in practice: a large product of random matrices."""
    import torch

    from lookalike_embedder.model.hardware import DTYPES
    from tools.gpu.timing import calls_per_second

    side = 512 if setting.device == "cpu" else 8192
    first, second = (
        torch.randn((side, side), device=setting.device, dtype=DTYPES[setting.chosen_precision]) for _ in "ab"
    )
    rate = calls_per_second(lambda: first @ second, setting.device, setting.seconds / 2)
    on = f"a product of {side} x {side} random matrices in {setting.chosen_precision}"
    record.figure("gpu_peak_tflops", rate * 2 * side**3 / 1e12, on)
