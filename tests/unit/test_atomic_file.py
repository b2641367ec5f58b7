"""A file is written whole or not at all, and never through what lies in its place."""

import ast
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike import LookalikeError, atomic_file
from lookalike.cli.report import Report
from lookalike.records import Outcome, Status
from lookalike_searcher.backup import archive

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = b"somebody's"


def fail(path: Path) -> None:
    with Report(path) as report:
        report.add(Outcome("a", Status.FAILED, LookalikeError("broken")))


def back_up(path: Path) -> None:
    with archive.written(path) as opened:
        opened.writestr("image", b"rows")


def grow(path: Path) -> None:
    with atomic_file.fresh(path) as file:
        file.write(b"line")


WRITERS: list[Callable[[Path], None]] = [lambda path: atomic_file.write(path, "new"), fail, back_up, grow]


@pytest.mark.parametrize("write", WRITERS, ids=["write", "failures", "backup", "log"])
def test_what_lies_at_any_name_that_could_be_guessed_is_not_written_to(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "shared"
    victim.write_bytes(FOREIGN)
    folder.mkdir()
    for suffix in "partial", "part", "tmp", "new":
        (folder / f"file.{suffix}").symlink_to(victim)
    write(folder / "file")
    assert victim.read_bytes() == FOREIGN
    assert (folder / "file").is_file()
    assert not (folder / "file").is_symlink()
    assert len(list(folder.iterdir())) == 5, "nothing is left over"


@pytest.mark.parametrize("write", WRITERS, ids=["write", "failures", "backup", "log"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "FIFO", "folder"])
def test_a_target_that_is_no_file_is_refused_and_kept(write: Callable[[Path], None], kind: str, tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "file"
    if kind != "dangling link":
        victim.write_bytes(FOREIGN)
    makers: dict[str, Callable[[], None]] = {
        "FIFO": lambda: os.mkfifo(target),
        "folder": target.mkdir,
    }
    makers.get(kind, lambda: target.symlink_to(victim))()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"is a symbolic link: name|is there and no regular file: choose"):
        write(target)
    assert sorted(tmp_path.iterdir()) == before
    assert kind == "dangling link" or victim.read_bytes() == FOREIGN


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_file.replacing(target) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_who_may_read_it_is_kept_or_as_asked(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 127)
    atomic_file.write(target, "1")
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~_umask()
    target.chmod(0o640)
    atomic_file.write(target, "2")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640, "a file of ours"
    if os.geteuid() == 0:
        os.chown(target, 65534, 65534)
        target.chmod(0o666)
        atomic_file.write(target, "3")
        assert (target.stat().st_uid, stat.S_IMODE(target.stat().st_mode)) == (0, 0o666 & ~_umask()), "another's"
    atomic_file.write(target, "4", atomic_file.SECRET)
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("4", 0o600)


def test_reading_does_not_wait_for_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="no regular file"):
        atomic_file.opened(tmp_path / "fifo")


def test_failures_of_a_run_that_is_broken_off_stand_beside_those_of_the_last(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    path.write_text('{"uri": "before"}\n')
    with pytest.raises(KeyboardInterrupt), Report(path) as report:
        report.add(Outcome("a", Status.FAILED, LookalikeError("broken")))
        [part] = tmp_path.glob("failures.jsonl.*.part")
        assert '"a"' in part.read_text(), "while it runs"
        raise KeyboardInterrupt
    assert [line.split('"')[3] for line in path.read_text().splitlines()] == ["a", "before"]
    assert list(tmp_path.iterdir()) == [path]


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


_WRITING = {"write_text", "write_bytes", "save_file"}
_ELSEWHERE = {
    "atomic_file.py": "it is the one place",
    "wheel.py": "in a temporary folder of its own",
    "copies.py": "in the demonstration's temporary folder",
}


def writes(path: Path) -> list[str]:
    """The calls of a module that write to a path by its name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            modes = [
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            opens = name == "open"
            if name in _WRITING or (opens and any(mode.strip("bt+") in {"w", "a", "x"} for mode in modes)):
                found.append(f"{path.name}:{node.lineno} {name}")
    return found


def test_no_module_of_the_product_writes_to_a_path_in_another_way() -> None:
    modules = [
        path
        for room in ("client", "serving", "embedder", "searcher", "gateway")
        for path in (ROOT / room).rglob("*.py")
    ]
    found = [one for path in modules if path.name not in _ELSEWHERE for one in writes(path)]
    allowed = ["archive.py:", "token.py:"]  # a member of a ZIP; a private key, by an exclusive descriptor
    assert [one for one in found if not one.startswith(tuple(allowed))] == []
