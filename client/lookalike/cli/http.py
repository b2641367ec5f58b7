"""Implement `lookalike http`, which starts the gateway for the HTTP/JSON API and the web page."""

import os
import sys

import typer

from lookalike.cli.common import EXIT_COULD_NOT_RUN, print_failure
from lookalike.processes import ServerFailed, require

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of the typer command: the gateway parses all arguments itself, `--help` too."""


def http(context: typer.Context) -> None:
    """Serve the HTTP/JSON API and the web page until Ctrl-C or SIGTERM."""
    try:
        require("fastapi", "uvicorn", "PIL", extras="`http`")
    except ServerFailed as error:
        print_failure(str(error))
        raise SystemExit(EXIT_COULD_NOT_RUN) from error
    # The gateway replaces this process, so that it gets the signals and sets the exit code.
    os.execv(sys.executable, [sys.executable, "-m", "lookalike_gateway", *context.args])  # noqa: S606
