"""Report the end of a run: a table for people, and one JSON object for programs."""

import json
from typing import Any, Final

from tools.gpu.record import is_in_bound, shown

Line = dict[str, Any]

NAMES: Final = (
    "gpu_images_per_second",
    "gpu_serving_over_bare",
    "gpu_rpc_over_bare",
    "gpu_peak_share",
    "gpu_interactive_p99_ms",
    "gpu_interactive_p99_over_idle_p50",
    "gpu_min_cosine",
    "gpu_vs_litserve_tuned",
)
_RATIOS: Final = {
    "gpu_images_per_second": ("gpu_engine_images_per_second", None, {}),
    "gpu_serving_over_bare": ("gpu_engine_images_per_second", "gpu_bare_images_per_second", {"least": 0.9}),
    "gpu_rpc_over_bare": ("gpu_rpc_images_per_second", "gpu_bare_images_per_second", {"least": 0.8}),
    "gpu_peak_share": ("gpu_engine_tflops", "gpu_peak_tflops", {}),
    "gpu_vs_litserve_tuned": ("gpu_rpc_images_per_second", "gpu_litserve_images_per_second", {}),
}
"""These figures are ratios of two others, with the bound that each must keep."""
_STAGES: Final = {
    "bare": "gpu_bare_images_per_second",
    "engine": "gpu_engine_images_per_second",
    "decoding": "decode_images_per_second",
    "decoding beside the engine": "gpu_engine_jpeg_images_per_second",
    "RPC": "rpc_lean_images_per_second",
    "client": "gpu_rpc_images_per_second",
}
_FALLS: Final = 0.95
"""A fall by less is noise."""


def with_ratios(lines: list[Line], *, bounded: bool) -> list[Line]:
    """Return the lines, followed by the ratios of two figures, with their bounds if `bounded`."""
    figures = {line["figure"]: line for line in lines if "figure" in line}
    ratios = (_ratio(name, of, over, bound if bounded else {}, figures) for name, (of, over, bound) in _RATIOS.items())
    return [*lines, *ratios, _limit({name: line["value"] for name, line in figures.items()})]


def _limit(values: dict[str, Any]) -> Line:
    """Return the stage that costs most: where the pace falls furthest from one measurement to the next."""
    line: Line = {"part": "in all", "figure": "gpu_rpc_limit", "value": None}
    paces = [(name, values[key]) for name, key in _STAGES.items() if values.get(key)]
    if len(paces) < len(_STAGES):
        return {**line, "on": "not every stage was measured"}
    falls = {}
    reached = paces[0][1]
    for name, pace in paces[1:]:
        falls[name] = pace / reached
        reached = min(reached, pace)
    worst = min(falls, key=lambda name: falls[name])
    shown_paces = ", ".join(f"{name} {pace:.0f}" for name, pace in paces)
    return {**line, "value": worst if falls[worst] < _FALLS else "the GPU", "on": f"images/s: {shown_paces}"}


def _ratio(name: str, of: str, over: str | None, bound: dict[str, float], figures: dict[str, Line]) -> Line:
    line: Line = {"part": "in all", "figure": name, "value": None, **bound}
    needed = [part for part in (of, over) if part]
    if lacking := [part for part in needed if figures.get(part, {}).get("value") is None]:
        reasons = (figures.get(part, {}).get("on") or f"{part} was not measured" for part in lacking)
        return {**line, "on": "; ".join(reasons)}
    values = [figures[part]["value"] for part in needed]
    return {**line, "value": float(f"{values[0] / (values[1] if over else 1):.4g}"), "on": " over ".join(needed)}


def table(lines: list[Line]) -> str:
    """Return the table of all lines, part by part."""
    drawn: list[str] = []
    part = ""
    for line in lines:
        if line["part"] != part:
            part = line["part"]
            drawn += ["", part]
        drawn.append(f"  {shown(line)}")
    return "\n".join(drawn)


def summary(lines: list[Line]) -> str:
    """Return the result as JSON: the main figures, all others, how each part ended, and why a figure is null."""
    figures = [line for line in lines if "figure" in line]
    result: dict[str, Any] = dict.fromkeys(NAMES)
    result.update({line["figure"]: line["value"] for line in figures})
    result["parts"] = {line["part"]: line["ended"] for line in lines if "ended" in line}
    result["missed"] = [line["figure"] for line in figures if is_in_bound(line) is False]
    reasons = {line["figure"]: line.get("on", "") for line in figures if line["value"] is None}
    result["reasons"] = {**{name: "its part did not get there" for name in NAMES if result[name] is None}, **reasons}
    return json.dumps(result)


def failed(lines: list[Line]) -> list[str]:
    """Return the parts that failed, and the figures that miss their bounds."""
    parts = [line["part"] for line in lines if line.get("ended") in ("failed", "no GPU", "timed out")]
    return [*parts, *(line["figure"] for line in lines if "figure" in line and is_in_bound(line) is False)]
