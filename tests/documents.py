"""The blocks of the README and the docs, and a reader who types them in, in their order."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lookalike.processes import stop

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = Path(sys.executable).parent
SHELL: Final = ("console", "sh")
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    r"lookalike up\b": ("--embedder-port", "0", "--searcher-port", "0"),
    r"lookalike http\b": ("--port", "0"),
    r"lookalike-searcher --": ("--port", "0"),
}
"""Commands that go on until Ctrl-C, and the flags with which a test starts them on free ports."""
_READY: Final = re.compile(r"^(embedder|searcher|lookalike\S*)(?: http)?(?: ready on)? +(?:http://)?\S+:(\d+)")
_PORTS: Final = {"embedder": "50051", "searcher": "50052", "lookalike-searcher": "50052", "lookalike": "8080"}
_PYTHON: Final = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "the page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if inspect.iscoroutine(running := eval(code, {"__name__": "__main__"})):
    asyncio.run(running)
"""


@dataclass(frozen=True)
class Command:
    """What is typed into a shell, and what the page shows below it."""

    line: str
    shown: str = ""


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    kind: str
    text: str

    def commands(self) -> Iterator[Command]:
        """A command is a line behind a `$`, or each line where there is none; it may go on below a backslash."""
        text = self.text.replace("\\\n", "")
        if self.kind == "sh":
            yield from map(Command, text.splitlines())
        for found in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            yield Command(found[1], found[2])


def blocks(page: str, *kinds: str) -> list[Block]:
    """The page's blocks of these kinds; those of Python that follow one another are one program."""
    found: list[Block] = []
    for kind, text in _BLOCK.findall((ROOT / page).read_text()):
        if kind == "python" and found and found[-1].kind == "python":
            found[-1] = Block(kind, found[-1].text + text)
        elif kind in kinds:
            found.append(Block(kind, text))
    return found


@dataclass
class Reader:
    """Types in what a page says, in a folder; servers have free ports, which take the place of the usual ones."""

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
    ports: dict[str, str] = field(default_factory=dict)
    started: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def read(self, page: str, *, before: str = "", left_out: Sequence[str] = ()) -> list[str]:
        """Run all blocks of Python and for a shell, and return what they printed.

        Args:
            page: the page's path.
            before: is put before each Python program: what a block takes for granted.
            left_out: commands that begin so are not run.
        """
        outputs = []
        for block in blocks(page, "python", *SHELL):
            if block.kind == "python":
                outputs.append(await self._program(before + block.text))
                continue
            commands = [one for one in block.commands() if not one.line.startswith(tuple(left_out))]
            outputs += [await self._command(command) for command in commands]
        return outputs

    async def _command(self, command: Command) -> str:
        for start, flags in _SERVERS.items():
            if re.match(start, command.line):
                return await self._start(start, command, flags)
        line = f"{self._here(command.line)}\ncode=$?; env -0 >.environment; exit $code"
        code, output = await self._run("bash", "-o", "pipefail", "-c", line)
        entries = (self.folder / ".environment").read_text().split("\0")
        self.environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        fails = command.shown.startswith("lookalike: ")
        assert bool(code) == fails, f"$ {command.line}\n{output}"
        _check(command, output)
        return output

    async def _program(self, text: str) -> str:
        code, output = await self._run(sys.executable, "-c", _PYTHON, stdin=self._here(text))
        assert code == 0, f"{text}\n{output}"
        return output

    async def _run(self, *command: str, stdin: str = "") -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
            env=self.environment,
        )
        output, _ = await process.communicate(stdin.encode())
        return process.returncode, output.decode()

    def _here(self, text: str) -> str:
        """The text with the ports that the servers have."""
        for usual, actual in self.ports.items():
            text = re.sub(rf"\b[a-z]+:{usual}\b", f"localhost:{actual}", text)
        return text

    async def _start(self, name: str, command: Command, flags: Sequence[str]) -> str:
        """Start a server, in the place of the one before, and return what it said until it was ready."""
        if name in self.started:
            await stop(self.started[name])
        words = " ".join((f"exec {command.line.partition(' #')[0]}", *flags))
        with (self.folder / "server.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", words),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=self.environment,
            )
        self.started[name] = process
        assert process.stdout
        output = line = ""
        while "eady" not in line and (line := (await process.stdout.readline()).decode()):
            output += line
            if found := _READY.match(line):
                self.ports[_PORTS[found[1]]] = found[2]
                variable = f"LOOKALIKE_{found[1].removeprefix('lookalike-').upper()}"
                self.environment[variable] = f"localhost:{found[2]}"
        assert line, (self.folder / "server.log").read_text()
        _check(command, output)
        return output

    async def leave(self) -> None:
        """Stop the servers, the last one first."""
        for process in reversed(self.started.values()):
            await stop(process)


def _check(command: Command, output: str) -> None:
    """What the page shows is printed: each word that has no digit, as those differ."""
    printed = set(output.split())
    missing = [word for word in command.shown.split() if word.strip("—…") and not re.search(r"[\d…]", word)]
    assert not {*missing} - printed, f"$ {command.line}\n{output}"
