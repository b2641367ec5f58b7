"""What the parts find: kept at once, line by line in JSON, so that a run that is cut off has given what it had."""

import json
import os
from pathlib import Path
from typing import Any

Value = float | str | bool | None


class NoGpu(Exception):
    """Torch finds none. Nothing else of the check can run."""


class Record:
    """One part's share of the file of results.

    Args:
        path: the file; lines are added.
        part: the part's name.
    """

    def __init__(self, path: Path, part: str) -> None:
        self._path, self._part = path, part

    def figure(
        self, name: str, value: Value, on: str = "", *, least: float | None = None, most: float | None = None
    ) -> None:
        """A value that was found.

        Args:
            name: in the final JSON.
            value: None where it cannot be had, for the reason that `on` is.
            on: what it was measured on.
            least: the least that is asked for, if anything is.
            most: likewise.
        """
        if isinstance(value, float):
            value = float(f"{value:.5g}")
        self._add({"figure": name, "value": value, "on": on, "least": least, "most": most})

    def ended(self, how: str, seconds: float, why: str = "") -> None:
        """The part is over: `done`, `failed`, `no GPU`, `timed out` or `skipped`."""
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
    """What was kept; a line that was cut off is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def shown(line: dict[str, Any]) -> str:
    """A line for a person."""
    if "ended" in line:
        return f"{line['ended']} after {line['seconds']} s" + (f": {line['why']}" if line.get("why") else "")
    value = line["value"]
    number = f"{value:,.4g}" if isinstance(value, float) else "-" if value is None else str(value)
    return f"{line['figure']:38} {number:>12} {wanted(line):10} {line.get('on', '')}".rstrip()


def wanted(line: dict[str, Any]) -> str:
    """The bound, and whether it is kept."""
    if (kept := is_kept(line)) is None:
        return ""
    bound = f"≥ {line['least']:g}" if "least" in line else f"≤ {line['most']:g}"
    return f"{bound} {'✓' if kept else '✗'}"


def is_kept(line: dict[str, Any]) -> bool | None:
    """Whether the value is within its bound; None: there is no bound, or no value."""
    value = line.get("value")
    if value is None or not {"least", "most"} & line.keys():
        return None
    return bool(value >= line.get("least", value) and value <= line.get("most", value))
