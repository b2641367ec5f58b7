"""`lookalike` as its users type it, in one process for many commands: to import them all takes longer than most run.

That the console script is one, that it can be interrupted, and what it does with pipes is tested in processes of its
own, by `test_programs` and `test_indexing_cli`.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    output: str
    errors: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    def event(self, name: str) -> dict[str, Any]:
        """The only one of that name."""
        [found] = [event for event in self.events if event["event"] == name]
        return found


class CommandLine:
    """Runs commands, one at a time, in a process that is started with the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._alone = threading.Lock()

    def run(
        self,
        *arguments: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command to its end.

        Args:
            arguments: the words after `lookalike`. Not `http`, which replaces its process by the gateway's, nor `-`: it
                would read the next command.
            folder: where it runs.
            environment: further variables.
        """
        words = [str(argument) for argument in arguments]
        assert not {"http", "-"} & set(words), "it would take the process over, or its standard input"
        asked = [words, str(folder or _ROOT), dict(environment or {})]
        with self._alone:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=_ROOT,
                )
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the process that runs commands has ended"
            return Done(**json.loads(answer))

    async def ask(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Done:
        """Run a command to its end, while the event loop serves it."""
        return await asyncio.to_thread(self.run, *arguments, environment=environment)

    def end(self) -> None:
        """End the process."""
        if self._process:
            self._process.communicate()


@contextmanager
def command_line() -> Iterator[CommandLine]:
    """The command line, until the end of the block."""
    made = CommandLine()
    try:
        yield made
    finally:
        made.end()


def _main() -> None:
    """Run the commands that standard input names, one a line."""
    from typer.testing import CliRunner

    from lookalike.cli.app import app

    answers = sys.stdout
    for line in sys.stdin:
        words, folder, environment = json.loads(line)
        os.chdir(folder)
        found = CliRunner().invoke(app, words, env=environment, prog_name="lookalike")
        errors = found.stderr
        if found.exception and not isinstance(found.exception, SystemExit):
            errors += "".join(traceback.format_exception(found.exception))
        answers.write(json.dumps(asdict(Done(found.exit_code, found.stdout, errors))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()
