"""What is deployed, as programs read it: rendered manifests, compose files, images, and the programs' real settings."""

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

import typer
import yaml
from typer.main import get_command

from lookalike import credentials
from lookalike.cli.app import app as client
from lookalike_embedder.__main__ import app as embedder
from lookalike_gateway.__main__ import app as gateway
from lookalike_searcher.__main__ import app as searcher
from lookalike_serving.security.config import Security

ROOT: Final = Path(__file__).resolve().parents[1]
DEPLOY: Final = ROOT / "deploy"
OVERLAYS: Final = sorted(path.parent.name for path in DEPLOY.glob("kubernetes/overlays/*/kustomization.yaml"))
KUBECTL: Final = shutil.which("kubectl")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A program of an image: its command, its flags, their variables, and their defaults."""

    command: Any
    flags: frozenset[str]
    variables: frozenset[str]
    defaults: dict[str, Any]

    def security(self, environment: Mapping[str, str]) -> tuple[Security, bool]:
        """How it would listen, and whether it lets in anybody, as it reads its variables itself.

        Raises:
            InvalidSecurity: it would not start.
        """
        here = {name: value for name, value in environment.items() if name != "LOOKALIKE_PHOTOS_ROOT"}  # no such folder
        with mock.patch.dict(os.environ, here, clear=True):
            told = self.command.make_context("", []).params
        names = ("tls_cert", "tls_key", "tls_client_ca", "jwks", "jwks_url", "insecure")
        found = Security(**{name: told[name] for name in names})
        found.check(told["host"])
        return found, told["insecure"]


def _program(app: typer.Typer, command: str = "", *, as_options: bool = False) -> Program:
    """A program or its command; `as_options` if it also reads what stands before the command."""
    whole: Any = get_command(app)
    found = whole.commands[command] if command else whole
    parameters = [*found.params, *(whole.params if as_options else ())]
    return Program(
        found,
        frozenset(option for parameter in parameters for option in parameter.opts),
        frozenset(str(parameter.envvar) for parameter in parameters if parameter.envvar),
        {parameter.name: parameter.default for parameter in parameters},
    )


PROGRAMS: Final = {
    "embedder": _program(embedder),
    "searcher": _program(searcher),
    "http": _program(gateway),
    "index": _program(client, "index"),
    "backup": _program(searcher, "backup", as_options=True),
}


def _credentials() -> frozenset[str]:
    """The variables by which every client is told how to reach the servers; they are no flags."""
    with mock.patch.object(credentials, "_text", return_value="") as asked:
        credentials.Credentials.from_env()
    return frozenset(f"LOOKALIKE_{call.args[0]}" for call in asked.call_args_list)


CREDENTIALS: Final = _credentials()
IMAGES: Final = {"embedder": "embedder", "searcher": "searcher", "http": "client"}
"""The image of each of our services."""
FOREIGN: Final = frozenset({"OMP_NUM_THREADS", "PGPASSFILE", "LOOKALIKE_SHARDS", "DATABASE_PASSWORD"})
"""Variables that others read: torch, asyncpg, the share of an Indexed Job (no flag of its own), another variable."""


@functools.cache
def rendered(folder: str) -> tuple[Manifest, ...]:
    """A kustomization of `deploy/kubernetes`, as it would be applied."""
    assert KUBECTL is not None
    done = subprocess.run(
        [KUBECTL, "kustomize", str(DEPLOY / "kubernetes" / folder)], capture_output=True, text=True, check=True
    )
    return tuple(found for found in yaml.safe_load_all(done.stdout) if found)


def compose(path: Path) -> str:
    """A compose file, with what the environment may change left at its default."""
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", path.read_text())
    text = re.sub(r"\$\{(\w+)(:?\?[^}]*)?\}", "given", text)
    return yaml.safe_dump(yaml.safe_load(text))  # merges what `<<` names, as compose does


def stages() -> dict[str, list[tuple[str, str]]]:
    """The stages of the Dockerfile by name, each a list of instructions with their arguments; `FROM` is the first."""
    text = re.sub(r"^ *#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    instructions = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for word, argument in instructions:
        if word == "FROM":
            name = argument.split(" AS ")[1]
            found[name] = []
        found[name].append((word, argument))
    return found


def lineage(stage: str) -> list[tuple[str, str]]:
    """The instructions of a stage after those of the stages that it is built from."""
    own = stages()[stage]
    parent = own[0][1].split(" AS ")[0]
    return [*(lineage(parent) if parent in stages() else []), *own]


def settings(stage: str) -> dict[str, str]:
    """The environment of an image."""
    pairs = [argument for word, argument in lineage(stage) if word == "ENV"]
    return dict(pair.split("=", 1) for text in pairs for pair in shlex.split(text.replace("\\\n", " ")))
