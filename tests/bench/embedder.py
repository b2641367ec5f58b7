"""The embedder, measured: throughput beside the bare model, LitServe and its own ONNX file, latency, int8, memory.

Real processes, real sockets, real weights, real photos: those of the demo with altered copies, or any folder
(--photos). Parties take turns within one run, so that a noisy machine disturbs all alike; ratios are medians over the
rounds. The last line is JSON.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_serving.server import calm_collector
from tests.bench import decoding, interactive_latency, memory, onnx_served, quantized, throughput, transport
from tests.bench.figures import Figure, show
from tests.bench.photos import catalogue, jpegs_of
from tests.bench.setting import Setting

PARTS = ("serving", "litserve", "onnx", "interactive", "transport", "int8", "memory", "decode")
NAMES = (
    "serving_efficiency",
    "vs_litserve_default",
    "vs_litserve_tuned",
    "onnx_over_native",
    "onnx_over_native_cpu",
    "onnx_over_native_fp32",
    "onnx_over_native_fp32_cpu",
    "interactive_p99_over_idle_p50",
    "transport_images_per_second",
    "transport_alone_images_per_second",
    "int8_over_bf16",
    "int8_min_cosine",
    "rss_growth_mb",
    "decode_12mp_ms",
)


async def measure(setting: Setting, parts: Sequence[str]) -> list[Figure]:
    """The figures of the parts, one part after the other."""
    found = []
    if {"serving", "litserve"} & set(parts):
        found += await throughput.measure(setting, parts)
    if "onnx" in parts:
        found += await onnx_served.measure(setting)
    if "interactive" in parts:
        found += await interactive_latency.measure(setting)
    if "transport" in parts:
        found += await transport.measure(setting)
    if "int8" in parts:
        found += await quantized.measure(setting)
    if "memory" in parts:
        found += await memory.measure(setting)
    if "decode" in parts:
        found += decoding.measure(setting)
    return found


def parts_of(text: str) -> list[str]:
    """The parts that were asked for."""
    parts = text.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; choose from {','.join(PARTS)}")
    return parts


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=parts_of, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--photos", type=Path, help="folder of image files; left out, the demo's photos and copies")
    parser.add_argument("--most", type=int, default=400, help="most photos")
    parser.add_argument("--rounds", type=int, default=5, help="how often the parties take turns")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a turn")
    parser.add_argument("--calls", type=int, default=120, help="interactive calls beside bulk work")
    parser.add_argument("--mixed", type=int, default=10_000, help="images over which memory is measured")
    parser.add_argument("--further", type=Path, help="folder of files to mix among these, for example hostile ones")
    parser.add_argument("--log", type=Path, help="file for what the servers write; left out, it is thrown away")
    return parser.parse_args()


def main() -> None:
    """Measure, print a table, then JSON."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        log_file = options.log or Path(scratch, "servers.log")
        jpegs = jpegs_of(catalogue(options.photos, Path(scratch, "photos"), options.most))
        calm_collector()  # the client shares the cores with those it measures
        with log_file.open("wb") as log, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            setting = Setting(
                jpegs=jpegs,
                rounds=options.rounds,
                seconds=options.seconds,
                calls=options.calls,
                mixed=options.mixed,
                further=options.further,
                log=log,
            )
            figures = runner.run(cancelled_when_terminated(measure(setting, options.only)))
    size = statistics.median(map(len, jpegs)) / 1000
    show(f"{len(jpegs)} JPEGs, median {size:.0f} kB", NAMES, figures)


if __name__ == "__main__":
    main()
