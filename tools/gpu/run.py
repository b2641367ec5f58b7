"""Run the parts one after the other, each in a process of its own and within its time."""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.gpu import needs, report
from tools.gpu.record import NoGpu, Record, lines_of

if TYPE_CHECKING:
    from tools.gpu.setting import Setting


@dataclass(frozen=True)
class Part:
    """A part is a module with `run(setting, record)`. It has a limit in seconds, and a level of needs; see `needs`."""

    name: str
    seconds: float
    needs: str


PARTS: Final = (
    Part("environment", 40, "nothing"),
    Part("correctness", 90, "model"),
    Part("bare", 110, "model"),
    Part("engine", 60, "engine"),
    Part("rpc", 60, "rpc"),
    Part("interactive", 45, "rpc"),
    Part("robustness", 70, "engine"),
    Part("nvjpeg", 45, "model"),
    Part("onnx", 60, "model"),
    Part("litserve", 60, "rpc"),
)
"""The most valuable parts come first."""
_SECONDS: Final = 470.0
"""All parts together have so long: a run is over in less than eight minutes."""
_SHORT_PATIENCE: Final = 5.0
"""The short form may take so many times longer: it looks for no figures, and runs where others work too."""
_PHOTOS, _SHORT_PHOTOS = 256, 3
_SHORT_SIDE: Final = 32
"""The side of the square that the model sees in the short form: a fiftieth of the work, for CPUs."""


def arguments(text: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu shows only that the check runs")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto", help="to measure in")
    parser.add_argument("--weights", type=Path, help=".safetensors of VGG16's trunk, also in half precision")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs; left out, photos are made")
    parser.add_argument("--wheels", type=Path, help="folder of wheels; left out, wheels/ in the checkout")
    parser.add_argument("--out", type=Path, help="file for the results, in JSON lines; left out, build/gpu-check.jsonl")
    parser.add_argument("--only", type=lambda text: text.split(","), default=names, help=f"some of {','.join(names)}")
    parser.add_argument("--short", action="store_true", help="as little as shows that each part runs")
    options = parser.parse_args(argv)
    if unknown := set(options.only) - set(names):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    return options


def main(text: str, root: Path, argv: Sequence[str] | None = None) -> int:
    """Run the parts, print a table, then JSON. Returns 0 if all parts ended well and all bounds are kept."""
    options = arguments(text, argv)
    patience = _SHORT_PATIENCE if options.short else 1.0
    deadline = time.monotonic() + patience * _SECONDS
    out = options.out or root / "build" / "gpu-check.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        lacking = _lacking(root, options.wheels or root / "wheels", Path(scratch, "site"))
        if lacking["nothing"]:
            raise SystemExit(f"gpu_check: this needs {', '.join(lacking['nothing'])}")
        setting = _setting(root, options, Path(scratch), lacking)
        for part in PARTS:
            if part.name in options.only:
                _run(part, setting, out, patience * part.seconds, deadline)
            if any(line.get("ended") == "no GPU" for line in lines_of(out)):
                break
    lines = report.with_ratios(lines_of(out), bounded=not options.short)
    print(f"\nresults, line by line: {out}\n{report.table(lines)}\n")
    print(report.summary(lines), flush=True)
    return 1 if report.failed(lines) else 0


def _lacking(root: Path, wheels: Path, site: Path) -> dict[str, list[str]]:
    """Return what each level lacks once the wheels are unpacked."""
    min_versions = needs.min_versions(root)
    if lacking := [lack.package for lack in needs.lacks("rpc", min_versions)]:
        sys.path.insert(0, str(site))
        brought = needs.unpack(wheels, lacking, site)
        print(f"from {wheels}: {', '.join(brought) or 'nothing'}")
    return {level: [str(lack) for lack in needs.lacks(level, min_versions)] for level in needs.LEVELS}


def _setting(root: Path, options: argparse.Namespace, scratch: Path, lacking: dict[str, list[str]]) -> "Setting":
    """Return the setting that all parts share."""
    from tools.gpu import photos, weights
    from tools.gpu.setting import Setting

    trunk = weights.find(options.weights)
    count = _SHORT_PHOTOS if options.short else _PHOTOS
    jpegs = photos.of_folder(options.photos, count) if options.photos else photos.generate(count)
    size = sum(map(len, jpegs)) / len(jpegs) / 1000
    print(
        f"weights: {trunk.source}\nphotos: {len(jpegs)} {'of the folder' if options.photos else 'made'}, {size:.0f} kB"
    )
    return Setting(root, options.device, options.short, options.precision, trunk, jpegs, scratch, lacking)


def _import_torch(*, short: bool) -> None:
    """Import torch once for all parts, which are forked.

    Nothing may touch the GPU here: it could not be forked then.
    """
    import torch
    import torchvision  # noqa: F401

    from lookalike_embedder import preprocessing

    if short:  # before any other module reads it
        preprocessing.SIZE = _SHORT_SIDE  # type: ignore[misc]
        preprocessing.VGG16 = preprocessing.Preprocessing(_SHORT_SIDE)  # type: ignore[misc]
        torch.set_num_threads(1)  # threads that wait for each other are very slow on shared CPUs


def _run(part: Part, setting: "Setting", out: Path, seconds: float, deadline: float) -> None:
    """Run one part until its seconds are up, or all parts' time is. Whatever it started ends with it."""
    print(f"\n{part.name}", flush=True)
    record, started = Record(out, part.name), time.monotonic()
    limit = min(seconds, deadline - started)
    if lacking := setting.lacking[part.needs]:
        return record.ended("skipped", 0, f"this needs {', '.join(lacking)}")
    if limit < 2:
        return record.ended("skipped", 0, f"the {_SECONDS:g} s for all parts are over")
    if not setting.lacking["model"]:
        _import_torch(short=setting.short)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(part, setting, record))
    process.start()
    process.join(limit)
    timed_out = process.is_alive()
    if timed_out:
        end(process.pid or 0)
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)  # ends whatever it left running
    process.join()
    took = time.monotonic() - started
    if timed_out:
        return record.ended("timed out", took, f"its {limit:.0f} s are over")
    if process.exitcode not in (0, _SAID):
        return record.ended("failed", took, f"its process ended with {process.exitcode}")
    return record.ended("done", took) if process.exitcode == 0 else None


def end(pid: int) -> None:
    """Kill a process and all that it has started, in any session."""
    for target in (pid, *_below(pid)):
        with suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)


def _below(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    pids: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                pids += [child, *_below(child)]
    return pids


_SAID: Final = 3
"""A part exits with this status if it has recorded why it failed."""


def _work(part: Part, setting: "Setting", record: Record) -> None:
    """Run a part in its own process, which leads a process group."""
    os.setpgid(0, 0)
    started = time.monotonic()
    try:
        run: Callable[[Setting, Record], None] = import_module(f"tools.gpu.{part.name}").run
        run(setting, record)
    except NoGpu as error:
        record.ended("no GPU", time.monotonic() - started, str(error))
        os._exit(_SAID)
    except BaseException as error:
        import traceback

        traceback.print_exc()
        record.ended("failed", time.monotonic() - started, f"{type(error).__name__}: {error}"[:500])
        os._exit(_SAID)
    os._exit(0)  # threads that hang must not keep the process alive
