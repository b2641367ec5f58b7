"""The GPU check, part by part, on a real GPU: `pytest -m gpu`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.gpu.run import PARTS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.gpu
@pytest.mark.parametrize("part", [part.name for part in PARTS])
def test_a_part_of_the_check_ends_well_and_keeps_its_bounds(part: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "gpu_check.py"), "--only", part, "--out", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["parts"] == {part: "done"}
