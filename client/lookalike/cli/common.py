"""Share options for servers, the consoles, and the printing of failures among the commands."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Final, NoReturn

import typer

from lookalike.cli.console import PlainConsole
from lookalike.client import DEFAULT_EMBEDDER, DEFAULT_SEARCHER
from lookalike.errors import LookalikeError, UnavailableError
from lookalike.processes import ServerFailed
from lookalike.records import Match, Reference
from lookalike.signals import cancelled_when_terminated

console: Final = PlainConsole()
errors: Final = PlainConsole(stderr=True)
if not console.is_terminal:  # a file or a pipe has no width; our tables need about this much
    console.width = 120

EXIT_COULD_NOT_RUN: Final = 2
_NO_HINTS: Final[Mapping[str, str]] = {}

MATCH_STYLES: Final[Mapping[Match, str]] = {
    Match.EXACT: "bold green",
    Match.NEAR_DUPLICATE: "green",
    Match.RECOLOURED: "cyan",
    Match.SIMILAR: "yellow",
}

Embedder = Annotated[str, typer.Option(envvar="LOOKALIKE_EMBEDDER", help="Address of the embedder, HOST:PORT.")]
Searcher = Annotated[str, typer.Option(envvar="LOOKALIKE_SEARCHER", help="Address of the searcher, HOST:PORT.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds after which a call fails.")]

__all__ = ["DEFAULT_EMBEDDER", "DEFAULT_SEARCHER"]


def counted(count: int, noun: str) -> str:
    """Return the number with its noun, which gets an s unless there is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def run(
    work: Coroutine[Any, Any, int | None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    hints: Mapping[str, str] = _NO_HINTS,
) -> NoReturn:
    """Run a command's coroutine, print its failure in one sentence, and exit with its exit code.

    Args:
        work: what the command does.
        loop_factory: makes the event loop.
        hints: what helps against a failure, by its reason.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(cancelled_when_terminated(work)) or 0
    except BrokenPipeError:  # the reader of the output has closed it
        console.on_broken_pipe()  # exits with 1, as rich does when it prints
        raise
    except (LookalikeError, ServerFailed, OSError) as error:
        print_failure(str(error))
        if isinstance(error, UnavailableError) and not error.reason:
            errors.print("Are the servers running? `lookalike up` starts them on this machine.")
        if isinstance(error, LookalikeError) and error.reason in hints:
            errors.print(hints[error.reason])
        code = EXIT_COULD_NOT_RUN
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    raise SystemExit(code)


def print_failure(message: str) -> None:
    """Print on standard error why a command could not run."""
    first, *further = message.split("\n")
    errors.print("lookalike:", style="red", end=" ")
    errors.print(first, soft_wrap=True)
    for line in further:  # lines of a log; the indent tells them from messages of this program
        errors.print(f"    {line}", soft_wrap=True)


def format_places(references: Sequence[Reference], count: int) -> str:
    """Return the first URI where an image is used, and the number of its other references."""
    return references[0].uri + (f" (+{count - 1:,})" if count > 1 else "")


def format_products(references: Sequence[Reference]) -> str:
    """Return the names of the products that an image shows."""
    return ", ".join(dict.fromkeys(reference.product for reference in references if reference.product))
