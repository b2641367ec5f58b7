"""Know which packages the check needs, which of them are installed, and which a folder of wheels has."""

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
    "engine": ("grpcio-channelz", "prometheus-client"),
    "rpc": ("grpcio-health-checking", "grpcio-reflection"),
}
"""The packages that each level of parts needs; a level includes those before it."""
CARRIED: Final = ("protobuf", *LEVELS["model"][2:], *LEVELS["engine"], *LEVELS["rpc"])
"""These packages come as wheels for any machine; the others are compiled, and large."""
_GENERATED_WITH: Final = "grpcio"
"""Below `rpc`, any version of it is good enough; the generated code of RPCs refuses versions older than its own."""


@dataclass(frozen=True)
class Lack:
    """A package is not installed, or is too old."""

    package: str
    min_version: str
    installed: str | None

    def __str__(self) -> str:
        """Return the package, the version that is needed, and the one that is installed, for people."""
        return f"{self.package} >= {self.min_version}" + (f" (here is {self.installed})" if self.installed else "")


def min_versions(root: Path) -> dict[str, str]:
    """Return the lower bounds of the checkout's dependencies, by package."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    matches = (re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", line) for line in _lines(project))
    return {match[1]: match[2] for match in matches if match}


def _lines(project: dict[str, list[str] | dict[str, list[str]]]) -> Iterable[str]:
    yield from project["optional-dependencies"]["embedder"]  # type: ignore[call-overload]
    yield from project["dependencies"]  # the last one counts: the embedder's grpcio bounds queues, which no check fills


def lacks(level: str, min_versions: dict[str, str]) -> list[Lack]:
    """Return the packages that a level of parts lacks, given the lower bounds."""
    lacking = []
    for name in list(LEVELS)[: list(LEVELS).index(level) + 1]:
        lacking += [lack for package in LEVELS[name] if (lack := _lack(package, min_versions[package], level))]
    return lacking


def _lack(package: str, min_version: str, level: str) -> Lack | None:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return Lack(package, min_version, None)
    any_will_do = package == _GENERATED_WITH and level != "rpc"
    return None if any_will_do or numbers(version) >= numbers(min_version) else Lack(package, min_version, version)


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def unpack(wheels: Path, packages: Iterable[str], folder: Path) -> list[str]:
    """Unpack the wheels of these packages that fit this machine into a folder. Returns the names of the wheels.

    They cannot be put on the path unchanged: Python before 3.13 does not find packages in a wheel that have no
    `__init__`, such as `google`.
    """
    names = {package.replace("-", "_") for package in packages}
    by_package: dict[str, Path] = {}
    for wheel in sorted(wheels.glob("*.whl"), key=lambda wheel: "-none-any" not in wheel.name):
        if (name := wheel.name.partition("-")[0]) in names and _fits(wheel.name):
            by_package[name] = wheel  # a compiled wheel that fits comes after the other, and replaces it
    for wheel in by_package.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return sorted(wheel.name for wheel in by_package.values())


def _fits(name: str) -> bool:
    return name.endswith("-none-any.whl") or ("-abi3-manylinux" in name and platform.machine() in name)
