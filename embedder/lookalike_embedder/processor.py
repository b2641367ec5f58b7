"""Say what processor this is: how many cores, its model, and its instructions. Neither torch nor gRPC is needed."""

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""This process may run on so many processors."""
CPUINFO: Final = Path("/proc/cpuinfo")
_MODEL: Final = (
    *("vendor_id", "cpu family", "model", "model name", "stepping"),  # of x86
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),  # of ARM
)
_FEATURES: Final = ("flags", "Features")
"""The lines with the names of instructions, of x86 and of ARM."""
_MASKS: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY")
"""These variables make oneDNN and torch do without some of the processor's instructions."""


def instructions() -> frozenset[str]:
    """Return the names of this processor's instructions as Linux has them; empty where that is not known."""
    described = _described()
    return frozenset(name for line in _FEATURES for name in described.get(line, "").split())


def identity() -> dict[str, str]:
    """Return what tells this processor from others, with the variables that hide some of its instructions."""
    described = _described()
    model = ", ".join(described[line] for line in _MODEL if line in described) or platform.machine()
    digest = hashlib.sha256(" ".join(sorted(instructions())).encode()).hexdigest()
    hidden = {name: os.environ[name] for name in _MASKS if name in os.environ}
    return {"processor": model, "instructions": digest[:16], **hidden}


def _described() -> Mapping[str, str]:
    """Return the lines of the first core."""
    try:
        first = CPUINFO.read_text().partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
