"""The programs do not start where they would let in anybody unasked, and do not tell passwords when they fail."""

import pytest
import typer
from typer.testing import CliRunner

from lookalike_embedder.__main__ import app as embedder
from lookalike_gateway.__main__ import app as gateway
from lookalike_searcher.__main__ import app as searcher

EVERYWHERE = ("--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused
PROGRAMS = [embedder, searcher, gateway]


@pytest.mark.parametrize("app", PROGRAMS, ids=["embedder", "searcher", "http"])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "--insecure"),
        (("--tls-cert", "cert.pem", "--tls-key", "key.pem"), "--insecure"),
        (("--tls-client-ca", "ca.pem"), "belong together"),
        (("--jwks", "jwks.json", "--jwks-url", "https://login.example"), "only one of them"),
    ],
)
def test_what_would_protect_nothing_is_refused(app: typer.Typer, more: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(app, [*EVERYWHERE, *more], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://lookalike:s3cret@127.0.0.1:1/lookalike",
        "postgresql://lookalike:s3cret/more@127.0.0.1:1/lookalike",
        "postgresql://lookalike:s3cret@[127.0.0.1:1/lookalike",
        "mysql://lookalike:s3cret@127.0.0.1:1/lookalike",
    ],
)
def test_a_failure_does_not_tell_the_databases_password(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = {"DATABASE_URL": url, "LOOKALIKE_SEARCHER_METRICS_PORT": "0"}
    environment["LOOKALIKE_SEARCHER_DATABASE_PATIENCE"] = "0"
    caplog.set_level("DEBUG")
    done = CliRunner().invoke(searcher, ["--port", "0"], env=environment)
    assert done.exit_code == 1
    assert "s3cret" not in done.output + caplog.text + "".join(capfd.readouterr()) + str(done.exception)
