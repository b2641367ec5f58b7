"""What the commands share: the servers' addresses, the consoles, and how a failure is told."""

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

MATCH_STYLES: Final[Mapping[Match, str]] = {
    Match.EXACT: "bold green",
    Match.NEAR_DUPLICATE: "green",
    Match.SIMILAR: "yellow",
}

Embedder = Annotated[str, typer.Option(envvar="LOOKALIKE_EMBEDDER", help="Address of the embedder.")]
Searcher = Annotated[str, typer.Option(envvar="LOOKALIKE_SEARCHER", help="Address of the searcher.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds until a call gives up.")]

__all__ = ["DEFAULT_EMBEDDER", "DEFAULT_SEARCHER"]


def run(
    work: Coroutine[Any, Any, int | None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> NoReturn:
    """Run a command's coroutine and end the program with its exit code; tell failures in one sentence."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(cancelled_when_terminated(work)) or 0
    except BrokenPipeError:  # whoever reads the output has seen enough
        console.on_broken_pipe()  # ends the program with 1, as where rich itself prints
        raise
    except (LookalikeError, ServerFailed, OSError) as error:
        tell_failure(str(error))
        if isinstance(error, UnavailableError) and not error.reason:
            errors.print("Are the servers running? `lookalike up` starts them on this machine.")
        code = EXIT_COULD_NOT_RUN
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    raise SystemExit(code)


def tell_failure(message: str) -> None:
    """Say on standard error why a command could not run."""
    first, *more = message.split("\n")
    errors.print("lookalike:", style="red", end=" ")
    errors.print(first, soft_wrap=True)
    for line in more:  # of a log; indented, as no line may be taken for one of ours
        errors.print(f"    {line}", soft_wrap=True)


def where(references: Sequence[Reference], count: int) -> str:
    """The first place where an image is used, and how many others there are."""
    return references[0].uri + (f" (+{count - 1:,})" if count > 1 else "")


def products(references: Sequence[Reference]) -> str:
    """The products that an image shows."""
    return ", ".join(dict.fromkeys(reference.product for reference in references if reference.product))
