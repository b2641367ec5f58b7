"""What the check needs beside the standard library, what of it is here, and what a folder of wheels brings."""

import platform
import re
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

LEVELS: Final = {
    "nothing": ("numpy", "torch", "torchvision", "pillow"),
    "model": ("grpcio", "protobuf", "googleapis-common-protos", "grpcio-status"),
    "engine": ("prometheus-client",),
    "rpc": ("grpcio-health-checking", "grpcio-reflection"),
}
"""What each level of parts needs, those before it included."""
CARRIED: Final = ("protobuf", *LEVELS["model"][2:], *LEVELS["engine"], *LEVELS["rpc"])
"""Those that wheels for any machine can bring; the rest is compiled, and large."""
_GENERATED_WITH: Final = "grpcio"
"""Below `rpc` any version of it will do; the generated code of the RPCs refuses older ones than it was made with."""


@dataclass(frozen=True)
class Lack:
    """A package that is not here, or too old."""

    package: str
    least: str
    found: str | None

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.package} >= {self.least}" + (f" (here is {self.found})" if self.found else "")


def least_versions(root: Path) -> dict[str, str]:
    """The lower bounds of the checkout's own dependencies."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    found = (re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", line) for line in _lines(project))
    return {match[1]: match[2] for match in found if match}


def _lines(project: dict[str, list[str] | dict[str, list[str]]]) -> Iterable[str]:
    yield from project["dependencies"]
    yield from project["optional-dependencies"]["embedder"]  # type: ignore[call-overload]


def lacks(level: str, least: dict[str, str]) -> list[Lack]:
    """What a level of parts lacks."""
    found = []
    for name in list(LEVELS)[: list(LEVELS).index(level) + 1]:
        found += [lack for package in LEVELS[name] if (lack := _lack(package, least[package], level))]
    return found


def _lack(package: str, least: str, level: str) -> Lack | None:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return Lack(package, least, None)
    any_will_do = package == _GENERATED_WITH and level != "rpc"
    return None if any_will_do or numbers(version) >= numbers(least) else Lack(package, least, version)


def numbers(version: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def unpack(wheels: Path, packages: Iterable[str], folder: Path) -> list[str]:
    """Unpack the wheels of these packages that fit this machine into a folder; their file names.

    To put them on the path as they are would not do: Python before 3.13 finds no package in them that has no
    `__init__`, as `google` has none.
    """
    wanted = {package.replace("-", "_") for package in packages}
    found: dict[str, Path] = {}
    for wheel in sorted(wheels.glob("*.whl"), key=lambda wheel: "-none-any" not in wheel.name):
        if (name := wheel.name.partition("-")[0]) in wanted and _fits(wheel.name):
            found[name] = wheel  # a compiled one, where it fits, after the other
    for wheel in found.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return sorted(wheel.name for wheel in found.values())


def _fits(name: str) -> bool:
    return name.endswith("-none-any.whl") or ("-abi3-manylinux" in name and platform.machine() in name)
