"""`lookalike http`, from the command line."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

BIN = Path(sys.executable).parent
NOWHERE = ("--embedder", "127.0.0.1:1", "--searcher", "127.0.0.1:1")


def lookalike(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BIN / "lookalike", *arguments], capture_output=True, text=True, check=False, timeout=60)


async def start(*arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    """The process, and its address, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        BIN / "lookalike",
        *("http", "--port", "0", *NOWHERE, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("lookalike http ready on http://"), await process.communicate()
    return process, line.split()[4]


def get(url: str, **headers: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310 - our own
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(("style", "number"), [("json", signal.SIGTERM), ("text", signal.SIGINT)])
async def test_it_starts_without_the_servers_logs_its_requests_and_ends_cleanly(
    style: str, number: signal.Signals
) -> None:
    """Each request has one line, of printable characters: nobody writes lines of his own into the log.

    Neither by a path, nor by a request id, a host or a query.
    """
    process, url = await start("--log-format", style)
    assert await asyncio.to_thread(get, f"{url}/healthz") == (200, {"status": "ok"})
    status, problem = await asyncio.to_thread(get, f"{url}/v1/nothing", **{"x-request-id": "id-7"})
    assert (status, problem["reason"]) == (404, "PATH_NOT_FOUND")
    forged = (
        "%0d%0a2026-01-01%2000:00:00,000%20INFO%20lookalike.audit%20[-]:%20code%20'OK'%1b[2J%c2%9b%e2%80%a8%e2%80%ae"
    )
    forged_id = "a]: 2026-01-01 INFO lookalike.audit"
    heads = [
        f"GET /v1/{forged} HTTP/1.1\r\nHost: localhost",
        f"GET /v1/projects?{forged}={forged} HTTP/1.1\r\nHost: localhost",
        f"GET /v1/projects/{forged}/images HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {forged_id}",
        "GET / HTTP/1.1\r\nHost: \x9b31m\xe2\x80\xae",
        "\x1b[2J / HTTP/1.1",
    ]
    parts = urlsplit(url)
    for head in heads:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head.encode("latin-1") + b"\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 4")
        assert forged_id.encode() not in answer
        writer.close()
    process.send_signal(number)
    output, log = await process.communicate()
    assert (process.returncode, output) == (0, b"stopped\n")
    lines = log.decode().split("\n")[:-1]
    assert len(lines) >= len(heads)
    assert all(line.isprintable() for line in lines), lines
    if style == "json":
        told = [json.loads(line) for line in lines]
        [line] = [line for line in told if line.get("path") == "/v1/nothing"]
        assert (line["request_id"], line["status"], line["method"]) == ("id-7", 404, "GET")
        assert all(line["logger"] != "lookalike.audit" for line in told)
        assert all(line["message"].isprintable() and line.get("path", "").isprintable() for line in told)
    else:
        assert all(re.match(r"\d{4}-\d\d-\d\d \S+ [A-Z]+ (uvicorn|lookalike)\S* \[[\w.-]+\]: ", line) for line in lines)


async def test_others_are_let_in_only_where_that_is_said() -> None:
    refused = await asyncio.to_thread(lookalike, "http", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr
    process, url = await start("--host", "0.0.0.0", "--insecure")  # noqa: S104
    port = url.rpartition(":")[2]
    assert (await asyncio.to_thread(get, f"http://127.0.0.1:{port}/healthz", Host="shop.example"))[0] == 200
    taken = await asyncio.to_thread(lookalike, "http", "--port", port)
    assert taken.returncode == 2
    assert taken.stderr.strip() == f"lookalike: cannot listen on 127.0.0.1:{port}: Address already in use; see --port"
    process.terminate()
    await process.communicate()
    assert process.returncode == 0
