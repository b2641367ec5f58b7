"""A server's program hears SIGTERM from its beginning, and listens on all interfaces if told so."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike_searcher.config import Config
from lookalike_serving.listening import listen

SLOW = 'import sys, time; print("importing", flush=True); time.sleep(600)'


def test_a_program_that_is_told_to_end_while_it_is_imported_ends_cleanly(tmp_path: Path) -> None:
    """As process 1 of a container it would not hear it at all."""
    (tmp_path / "slow_server.py").write_text(SLOW)
    code = "from lookalike_serving.launch import launch; launch('slow_server')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={"PYTHONPATH": str(tmp_path)}
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_all_interfaces_of_both_families_are_two_colons() -> None:
    assert Config(host="::").address == "[::]:50052"
    try:
        listening = listen("::", 0)
    except OSError as error:
        pytest.skip(f"IPv6 is needed: {error}")
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_what_is_written_to_a_connection_is_sent_at_once_whatever_loop_serves_it(host: str) -> None:
    sent_at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        sent_at_once.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    try:
        listening = listen(host, 0)
    except OSError as error:
        pytest.skip(f"IPv6 is needed: {error}")
    async with await asyncio.start_server(serve, sock=listening) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await sent_at_once
        writer.close()
