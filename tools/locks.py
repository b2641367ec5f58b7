"""Write `locks/`: exact versions with hashes, by `uv pip compile`, for all our platforms and Pythons.

    python tools/locks.py [--upgrade]

`dev.txt` is the development environment; the others are what the images install. Versions stay as long as pyproject's
bounds allow, unless they are to be upgraded.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "locks"

LOCKS: Final = {
    "searcher": ("searcher-slim", "otel"),
    "client": ("http", "heic", "index", "s3", "gs", "abfs", "parquet", "otel"),
    "embedder": ("embedder", "heic", "otel"),
    "dev": ("dev",),
}
"""Each lock, and its extras. The development lock comes last, as it follows the others."""

TORCH: Final = re.compile(
    r"^(?:torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)(?:\[[^]]+\])?==.*\n(?:    .*\n)*", re.MULTILINE
)
"""These have a lock of their own, `torch.txt`: the embedder's image gets them, or else the same torch from an index of
builds for CPUs alone, of which we do not know the hashes."""


def compile_(name: str, *options: str) -> None:
    """Write one lock file, with its hashes."""
    file, torch = FOLDER / f"{name}.txt", FOLDER / "torch.txt"
    if name == "embedder":  # uv keeps the versions that it finds in the file
        file.write_text(file.read_text() + torch.read_text())
    extras = [argument for extra in LOCKS[name] for argument in ("--extra", extra)]
    command = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
    ]
    if name == "dev":  # what is tested is what the images have
        images = [*(image for image in LOCKS if image != name), "torch"]
        options = (*options, *(f"--constraint={FOLDER / image}.txt" for image in images))
    layout = ["--no-header", "--no-annotate", "--output-file", str(file)]
    subprocess.run([*command, *layout, *extras, *options, "pyproject.toml"], cwd=ROOT, check=True)  # noqa: S603
    if name == "embedder":
        text = file.read_text()
        file.write_text(TORCH.sub("", text))
        torch.write_text("".join(TORCH.findall(text)))


if __name__ == "__main__":
    for lock in LOCKS:
        compile_(lock, *sys.argv[1:])
