"""Fill `wheels/` with what `gpu_check` needs beside torch, numpy, pillow and grpcio: `make gpu-wheels`."""

import subprocess
import sys
from pathlib import Path

from tools.gpu.needs import CARRIED, min_versions

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Download the wheels at our lower bounds: newer ones need a newer gRPC."""
    versions = min_versions(ROOT)
    pinned = [f"{package}=={versions[package]}" for package in CARRIED]
    _download(pinned, "--platform", "any", "--implementation", "py", "--abi", "none")
    # protobuf with its C library, too: in pure Python it takes half of a core's time at a GPU's pace.
    compiled = ("--platform", "manylinux2014_x86_64", "--implementation", "cp", "--abi", "abi3")
    _download([pinned[0]], *compiled, "--python-version", "3.11")


def _download(requirements: list[str], *kind: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(  # noqa: S603 - our own constants
        [*command, "--only-binary=:all:", "--dest", str(ROOT / "wheels"), *kind, *requirements], check=True
    )


if __name__ == "__main__":
    main()
