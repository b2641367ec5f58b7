"""Keep the results of the parts, line by line in JSON, so that an interrupted run has kept what it had."""

import json
import os
from pathlib import Path
from typing import Any

Value = float | str | bool | None


class NoGpu(Exception):
    """There is no GPU that torch can use. Nothing else of the check can run."""


class Record:
    """The record holds the results of one part, in the file that all parts share.

    Args:
        path: the file; lines are added.
        part: the part's name.
    """

    def __init__(self, path: Path, part: str) -> None:
        self._path, self._part = path, part

    def figure(
        self, name: str, value: Value, on: str = "", *, least: float | None = None, most: float | None = None
    ) -> None:
        """Keep one measured value, and print it.

        Args:
            name: its name in the final JSON.
            value: None if it cannot be measured, for the reason in `on`.
            on: what it was measured on.
            least: the lowest value that is good enough, if there is a bound.
            most: the highest value that is good enough, if there is a bound.
        """
        if isinstance(value, float):
            value = float(f"{value:.5g}")
        self._add({"figure": name, "value": value, "on": on, "least": least, "most": most})

    def ended(self, how: str, seconds: float, why: str = "") -> None:
        """Keep how the part ended: `done`, `failed`, `no GPU`, `timed out` or `skipped`."""
        self._add({"ended": how, "seconds": round(seconds, 1), "why": why})

    def _add(self, line: dict[str, Any]) -> None:
        line = {"part": self._part, **{key: value for key, value in line.items() if value not in (None, "")}}
        if "figure" in line:
            line.setdefault("value", None)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(f"  {shown(line)}", flush=True)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results; a line that was cut off is left out."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def shown(line: dict[str, Any]) -> str:
    """Return a line of results, for people."""
    if "ended" in line:
        return f"{line['ended']} after {line['seconds']} s" + (f": {line['why']}" if line.get("why") else "")
    value = line["value"]
    number = f"{value:,.4g}" if isinstance(value, float) else "-" if value is None else str(value)
    return f"{line['figure']:38} {number:>12} {bound_of(line):10} {line.get('on', '')}".rstrip()


def bound_of(line: dict[str, Any]) -> str:
    """Return the bound of a value, and whether the value is within it; empty if there is none."""
    if (in_bound := is_in_bound(line)) is None:
        return ""
    bound = f"≥ {line['least']:g}" if "least" in line else f"≤ {line['most']:g}"
    return f"{bound} {'✓' if in_bound else '✗'}"


def is_in_bound(line: dict[str, Any]) -> bool | None:
    """Return whether the value is within its bound; None: there is no bound, or no value."""
    value = line.get("value")
    if value is None or not {"least", "most"} & line.keys():
        return None
    return bool(value >= line.get("least", value) and value <= line.get("most", value))
