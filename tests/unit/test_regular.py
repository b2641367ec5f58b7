"""Only regular files are opened, and nobody waits for one: not for who writes to a pipe, not for a device."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike import Item
from lookalike._concurrency.budget import Budget, Room
from lookalike._operations.photo import read as read_photo
from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.evaluation import labels
from lookalike.fetch import Fetcher, Settings
from lookalike.regular_file import open_regular
from lookalike.sources import Findings, Format, Sources
from lookalike.sources.manifest import Options, file_items

KINDS = ("pipe", "socket", "device", "folder", "link")


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """One of each kind of file that is no regular one."""
    paths = {kind: tmp_path / f"{kind}.jpg" for kind in KINDS}
    os.mkfifo(paths["pipe"])
    paths["folder"].mkdir()
    paths["device"].symlink_to("/dev/zero")
    paths["link"].symlink_to(paths["pipe"])
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is bounded
        try:
            listener.bind("socket.jpg")
        finally:
            os.chdir(before)
        yield paths


def in_time(function: Callable[[], object]) -> Exception | None:
    """What the function raises; fails if it waits for ever."""
    raised: list[Exception | None] = []

    def call() -> None:
        try:
            function()
            raised.append(None)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(20)
    assert raised, "it waits"
    return raised[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_opened(odd: dict[str, Path], kind: str) -> None:
    error = in_time(lambda: open_regular(odd[kind]))
    assert isinstance(error, OSError)
    assert error.strerror == f"it is a {kind.replace('link', 'pipe')}, not a regular file"


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_is_none_is_an_error(odd: dict[str, Path], kind: str) -> None:
    error = in_time(lambda: read_photo(odd[kind]))
    assert isinstance(error, LookalikeError)
    assert "not a regular file" in str(error)


def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_none_either(
    odd: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again when it is open."""
    (tmp_path / "file").touch()
    seen = os.stat(tmp_path / "file")
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", lambda _: seen)
        error = in_time(lambda: open_regular(odd["pipe"]))
    assert isinstance(error, OSError)
    assert "a pipe" in str(error)


async def test_an_item_that_is_none_fails_alone(odd: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(b"x")
    room = Room(Budget(None, 1 << 30))
    async with Fetcher(Settings()) as fetcher:
        for kind in KINDS:
            for uri in (odd[kind].as_uri(), f"local://{odd[kind]}"):
                with pytest.raises(LookalikeError, match="not a regular file") as caught:
                    await fetcher.fetch(Item(None, uri), "", room)
                assert caught.value.reason == "UNREADABLE"
        assert await fetcher.fetch(Item(None, f"LOCAL://{tmp_path}/good.jpg"), "", room)


def test_a_manifest_or_a_list_of_labels_that_is_none_is_refused(odd: dict[str, Path], tmp_path: Path) -> None:
    error = in_time(lambda: list(file_items(str(odd["pipe"]), Options(Format.CSV), Findings())))
    assert isinstance(error, OSError)
    assert isinstance(in_time(lambda: labels.read(odd["pipe"])), OSError)
    (tmp_path / "labels.csv").write_text("path,label\npipe.jpg,a\ndevice.jpg,a\n")
    error = in_time(lambda: labels.read(tmp_path / "labels.csv"))
    assert isinstance(error, InvalidRequestError)
    assert error.reason == "INVALID_LABELS"


def test_a_pipe_that_a_command_line_names_is_an_item_that_fails(odd: dict[str, Path]) -> None:
    assert [item.uri for item in Sources([str(odd["pipe"])]).items()] == [odd["pipe"].as_uri()]


def test_sources_that_may_keep_us_waiting_are_known(tmp_path: Path) -> None:
    """They are taken in a thread, so that a run ends when it is told to."""
    assert Sources(["-"]).may_block()
    assert Sources([str(tmp_path), "https://shop.example/list.csv"]).may_block()
    assert not Sources([str(tmp_path), tmp_path.as_uri()]).may_block()
