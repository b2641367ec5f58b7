"""The embedded PostgreSQL lets in who started it, and nobody else on this machine."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lookalike_searcher.database import pg_ctl, postgres, unix_socket
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.pg_ctl import POSTGRES_BIN_PATH, UnusableDataDir
from tests.postgres import utils

NOBODY = 65534
TEMPORARY = Path("/tmp")  # noqa: S108 - where the folders are made
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose path is too long for a Unix socket."""
    found = tmp_path_factory.mktemp("deep") / ("d" * 60) / ("é" * 30)
    found.mkdir(parents=True)
    return found


def sockets_of(data: Path) -> Path:
    return Path((data / "postgres" / "postmaster.pid").read_text().splitlines()[4])


def as_nobody(sockets: Path, user: str = "postgres") -> str:
    """What psql says to another user of this machine, who claims to be one of the database's."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(POSTGRES_BIN_PATH / "psql")]
    done = subprocess.run(
        [*command, f"--host={sockets}", f"--username={user}", "--no-password", "-c", "SELECT 'in'", "postgres"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    return done.stdout + done.stderr


async def test_a_path_too_long_for_a_socket_gives_it_a_folder_that_nobody_else_enters(deep: Path) -> None:
    with postgres.embedded(deep) as server:
        sockets = sockets_of(deep)
        status = sockets.lstat()
        assert stat.S_ISDIR(status.st_mode)
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, pg_ctl.owner().pw_uid)
        assert stat.S_IMODE((sockets / unix_socket.NAME).stat().st_mode) == 0o700
        async with connected(server.url) as connection:
            assert await connection.fetchval("SHOW listen_addresses") == ""
            rules = await connection.fetch("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules")
        assert [tuple(rule) for rule in rules] == [("local", "peer")]
        assert not list(psutil.Process(server.process.pid).net_connections("inet"))
        with postgres.reached(deep) as url:
            assert url == server.url
    assert not sockets.exists()


@needs_root
async def test_another_user_does_not_get_in_even_if_the_folder_were_open(deep: Path) -> None:
    """Nor does he where an earlier version let everybody in: its rules do not count any more."""
    with postgres.embedded(deep):
        pass
    (deep / "postgres" / "pg_hba.conf").write_text("local all all trust\n")
    with postgres.embedded(deep) as server:
        sockets = sockets_of(deep)
        assert "Permission denied" in as_nobody(sockets)
        sockets.chmod(0o755)
        (sockets / unix_socket.NAME).chmod(0o777)
        for user in "postgres", "nobody", "root", pg_ctl.owner().pw_name:
            assert "Peer authentication failed" in as_nobody(sockets, user)
        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT 'in'") == "in"


def test_a_folder_that_somebody_has_laid_at_a_name_of_ours_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Not even by chance: the name is not to be guessed, and is created exclusively."""
    mark = f"{os.getpid()}"
    hostile = TEMPORARY / f"lookalike-postgres-{mark}-1"
    hostile.symlink_to(tmp_path)
    request.addfinalizer(hostile.unlink)
    names: Iterator[str] = iter([f"{mark}-1", f"{mark}-2"])
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: names)
    monkeypatch.setattr(tempfile, "tempdir", str(TEMPORARY))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with unix_socket.folder(tmp_path / ("d" * 120), pg_ctl.owner()) as made:
        assert made.name == f"lookalike-postgres-{mark}-2"
        assert not made.is_symlink()
    assert not made.exists()
    assert hostile.is_symlink()


def test_what_a_killed_one_leaves_is_removed_and_nothing_else(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "lookalike-postgres-link"
    (victim / "inside").mkdir(parents=True)
    link.symlink_to(victim)
    left = tmp_path / "lookalike-postgres-left"
    left.mkdir()
    (left / unix_socket.NAME).touch()
    for one in victim, link, left, tmp_path / "lookalike-postgres-gone":
        unix_socket.remove(one, pg_ctl.owner())
    assert (victim / "inside").is_dir()
    assert not left.exists()


def test_no_place_for_a_socket_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_socket, "_candidates", lambda: iter([tmp_path / ("d" * 120)]))
    with (
        pytest.raises(UnusableDataDir, match=r"too long for a Unix socket.*choose a shorter --data-dir"),
        unix_socket.folder(tmp_path / ("d" * 120), pg_ctl.owner()),
    ):
        pass


def test_a_data_directory_of_somebody_elses_making_is_refused(tmp_path: Path) -> None:
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    data.mkdir()
    (data / "postgres").symlink_to(elsewhere)
    with pytest.raises(UnusableDataDir, match=r"is not a folder of .* own"), postgres.embedded(data):
        pass
    assert elsewhere.stat().st_uid == os.geteuid()
    (data / "postgres").unlink()
    (data / "postgres").mkdir()
    (data / "searcher.lock").symlink_to(elsewhere / "victim")
    with pytest.raises(OSError, match="symbolic"), postgres.embedded(data):
        pass
    assert not (elsewhere / "victim").exists()


@needs_root
def test_a_data_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    os.chown(tmp_path / "postgres", NOBODY, NOBODY)
    with pytest.raises(UnusableDataDir, match=r"is not a folder of .* own"), postgres.embedded(tmp_path):
        pass
    assert (tmp_path / "postgres").stat().st_uid == NOBODY
    assert utils.ensure_user_exists(pg_ctl.owner().pw_name)


@needs_root
def test_roots_folders_are_not_opened_for_reading(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    pg_ctl.take(closed / "postgres", pg_ctl.owner())
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert stat.S_IMODE((closed / "postgres").stat().st_mode) == 0o700
