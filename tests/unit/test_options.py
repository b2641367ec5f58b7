"""The programs' settings: each is said once, and what the command line and the environment say is checked."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest import mock

import pytest
import typer
from typer.testing import CliRunner

from lookalike_embedder.__main__ import app as embedder
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_gateway.__main__ import app as gateway
from lookalike_gateway.config import Config as GatewayConfig
from lookalike_searcher.__main__ import app as searcher
from lookalike_searcher.config import Config as SearcherConfig
from lookalike_serving.options import Option, configured
from lookalike_serving.security.config import Security

PROGRAMS = {"searcher": searcher, "embedder": embedder, "gateway": gateway}


@dataclass(frozen=True)
class Lock:
    key: Annotated[str | None, Option("The key.", name="lock_key", shared=True)] = None


@dataclass(frozen=True)
class Settings:
    size: Annotated[int, Option("How large.", min=1, max=9)] = 3
    kind: Annotated[Literal["round", "SQUARE"], Option("Which kind.")] = "round"
    url: Annotated[str | None, Option("Where.", variable="A_URL")] = None
    folders: Annotated[tuple[Path, ...], Option("Folders.", name="folder", folder=True)] = ()
    loud: Annotated[bool, Option("Say more.")] = False
    lock: Lock = field(default_factory=Lock)
    unsaid: int = 5


@pytest.fixture
def clean() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"PATH": os.environ["PATH"]}, clear=True):
        yield


def settings(*arguments: str, **environment: str) -> Settings | str:
    """What a program is told, or why it is not started."""
    app, told = typer.Typer(rich_markup_mode=None), []

    @app.command()
    @configured(Settings, "TEST_")
    def command(_: typer.Context, given: Settings) -> None:
        told.append(given)

    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code in (0, 2), result.output
    return told[0] if told else " ".join(result.output.split())


@pytest.mark.usefixtures("clean")
def test_flags_and_variables_set_fields(tmp_path: Path) -> None:
    assert settings() == Settings()
    given = settings("--size", "9", "--kind", "square", "--folder", str(tmp_path), "--folder", "/", "--loud")
    assert given == Settings(9, "SQUARE", folders=(tmp_path, Path("/")), loud=True)
    given = settings(TEST_SIZE="4", A_URL="here", TEST_LOUD="1", LOOKALIKE_LOCK_KEY="k")
    assert given == Settings(4, url="here", loud=True, lock=Lock("k"))
    assert settings("--url", "", "--lock-key", "", A_URL="") == Settings()


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("--size", "10"), {}, "Invalid value for '--size'"),
        ((), {"TEST_SIZE": "0"}, "TEST_SIZE"),
        (("--kind", "oval"), {}, "'oval' is not one of 'round', 'square'"),
        (("--folder", "/nowhere"), {}, "'/nowhere' does not exist"),
        (("--unsaid", "6"), {}, "No such option"),
    ],
)
def test_what_is_out_of_range_is_named(arguments: tuple[str, ...], environment: dict[str, str], said: str) -> None:
    refusal = settings(*arguments, **environment)
    assert isinstance(refusal, str)
    assert said in refusal or said.replace("square", "SQUARE") in refusal


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("setting", "value"), [("log-level", "foo"), ("log-format", "yaml")])
@pytest.mark.parametrize("by", ["flag", "variable"])
def test_an_unknown_level_or_format_of_the_log_is_a_usage_error(
    program: str, setting: str, value: str, by: str
) -> None:
    variable = {"LOOKALIKE_" + setting.upper().replace("-", "_"): value}
    arguments = [f"--{setting}", value] if by == "flag" else []
    result = CliRunner().invoke(PROGRAMS[program], arguments, env=variable if by == "variable" else {})
    assert result.exit_code == 2
    assert f"--{setting}" in result.output
    assert f"'{value}' is not one of" in " ".join(result.output.split())


@pytest.mark.parametrize("kind", [EmbedderConfig, SearcherConfig, GatewayConfig, Security])
def test_every_setting_has_an_option(kind: type[Any]) -> None:
    hints = {
        name: hint for base in reversed(kind.__mro__) for name, hint in getattr(base, "__annotations__", {}).items()
    }
    for each in fields(kind):
        if each.name not in ("security", "credentials"):
            [option] = [part for part in hints[each.name].__metadata__ if isinstance(part, Option)]
            assert option.help.endswith(".")


@pytest.mark.parametrize("taken", ["port", "metrics_port"])
@pytest.mark.parametrize("kind", [EmbedderConfig, SearcherConfig])
def test_a_taken_port_is_named_before_anything_is_started(
    kind: type[EmbedderConfig | SearcherConfig], taken: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = kind(**{"port": 0, "metrics_port": 0, taken: port})
        flag = "--" + taken.replace("_", "-")
        with pytest.raises(OSError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use; see {flag}$"):
            config.check_ports()
    config.check_ports()
    with pytest.raises(OSError, match=f"127.0.0.1:{port}: .*; see --metrics-port$"):
        kind(port=port, metrics_port=port).check_ports()
