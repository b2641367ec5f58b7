"""`lookalike http`: start the gateway, which serves the HTTP/JSON API and the page."""

import os
import sys

import typer

from lookalike.cli.common import EXIT_COULD_NOT_RUN, tell_failure
from lookalike.processes import ServerFailed, require

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of the command: the gateway reads all arguments itself, `--help` included."""


def http(context: typer.Context) -> None:
    """Serve the HTTP/JSON API and the page until Ctrl-C or SIGTERM."""
    try:
        require("fastapi", "uvicorn", "PIL", extras="`http`")
    except ServerFailed as error:
        tell_failure(str(error))
        raise SystemExit(EXIT_COULD_NOT_RUN) from error
    # The gateway takes this process over, so that signals and exit codes are its own.
    os.execv(sys.executable, [sys.executable, "-m", "lookalike_gateway", *context.args])  # noqa: S606
