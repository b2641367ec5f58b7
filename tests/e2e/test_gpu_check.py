"""The GPU check as it is run: whole, in its short form on a processor; and where nothing is installed for it."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from packaging.requirements import Requirement

from tests.duration import LONG
from tools.gpu.needs import CARRIED
from tools.gpu.report import NAMES
from tools.gpu.run import PARTS

ROOT = Path(__file__).resolve().parent.parent.parent
GIVEN = ("torch", "torchvision", "numpy", "pillow", "grpcio")


def check(python: Path | str, out: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The last line, as JSON, and all that was said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), str(ROOT / "tools" / "gpu_check.py"), "--out", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=out.parent, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, said


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that finds nothing but what the check asks for, and what that needs itself."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    for name in needed_by(GIVEN):
        for top in {file.parts[0] for file in metadata.files(name) or ()} - {"..", "__pycache__", "google"}:
            if (source := Path(metadata.distribution(name).locate_file(top))).exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    return folder / "bin" / "python"


def needed_by(names: tuple[str, ...]) -> set[str]:
    """These packages, and what they cannot do without."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        try:
            lines = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue  # for another platform
        if name not in found:
            found.add(name)
            wants = map(Requirement, lines)
            left += [want.name for want in wants if want.marker is None or want.marker.evaluate({"extra": ""})]
    return found


def test_where_something_is_missing_it_is_named_and_the_rest_runs(bare_python: Path, tmp_path: Path) -> None:
    arguments = ("--device", "cpu", "--short", "--only", "environment,correctness,rpc", "--wheels", str(tmp_path))
    found, said = check(bare_python, tmp_path / "results.jsonl", *arguments)
    assert found["parts"] == {"environment": "done", "correctness": "skipped", "rpc": "skipped"}
    assert "this needs protobuf >= 6.33.5, googleapis-common-protos >= 1.70, grpcio-status >= 1.80" in said


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="there is an NVIDIA driver")
def test_without_a_gpu_it_ends_at_once_and_says_why(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "tools" / "gpu_check.py"),
        "--short",
        "--out",
        str(tmp_path / "results.jsonl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["parts"] == {"environment": "no GPU"}
    assert re.search("no GPU after .*NVIDIA|no GPU after .*CUDA", done.stdout)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_onnx_runtime_computes_what_we_do_or_says_why_it_cannot(tmp_path: Path, device: str) -> None:
    """Where there is no provider for CUDA, the CPU must not compute in its place."""
    arguments = ("--device", device, "--short", "--only", "onnx")
    found, _ = check(sys.executable, tmp_path / "results.jsonl", *arguments)
    assert found["parts"] == {"onnx": "done"}
    if device == "cpu":
        assert found["gpu_onnx_min_cosine"] >= 0.9999
        assert found["onnx_cosine_alone_and_in_a_batch"] >= 0.9999
        assert found["gpu_onnx_images_per_second"] > 0
    elif "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert found["gpu_onnx_min_cosine"] is found["gpu_onnx_images_per_second"] is None
        assert "'cuda' was asked for" in found["reasons"]["gpu_onnx_min_cosine"]
        assert "install the extra onnx-cuda" in found["reasons"]["gpu_onnx_min_cosine"]


def test_with_a_folder_of_wheels_every_part_runs_on_a_processor_and_reports(bare_python: Path, tmp_path: Path) -> None:
    """Nothing has to be installed. The wheels are made of what is installed here.

    Every part in `make test-long`; else those that need the least and the most.
    """
    fill(wheels := tmp_path / "wheels")
    out, parts = tmp_path / "results.jsonl", [part.name for part in PARTS] if LONG else ["environment", "rpc"]
    arguments = ("--device", "cpu", "--short", "--only", ",".join(parts), "--wheels", str(wheels))
    found, said = check(bare_python, out, *arguments)
    assert found["parts"] == dict.fromkeys(parts, "done"), said
    assert list(found)[: len(NAMES)] == list(NAMES)
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["part"] for line in kept} == set(parts)
    if not LONG:
        return
    assert {name for name in NAMES if found[name] is None} == {"gpu_vs_litserve_tuned"}
    assert "litserve" in found["reasons"]["gpu_vs_litserve_tuned"]
    assert found["gpu_min_cosine"] >= 0.999
    assert found["lost_device"] is found["cancelled_and_late"] is found["deterministic"] is True
    assert (found["out_of_memory_halved"] > 0, found["out_of_memory_lost"]) == (True, 0)
    assert not found["missed"]


def fill(wheels: Path) -> None:
    """As `make gpu-wheels` does, without a package index."""
    wheels.mkdir()
    for name in CARRIED:
        installed = metadata.distribution(name)
        with zipfile.ZipFile(wheels / f"{name.replace('-', '_')}-{installed.version}-py3-none-any.whl", "w") as wheel:
            for file in installed.files or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    wheel.write(Path(installed.locate_file(file)), str(file))
