"""The README's commands and names are the programs' real ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import CommandLine

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
COMMANDS = sorted(set(re.findall(r"^\$ (lookalike[^#\n]*)", README, re.MULTILINE)))


WIDE = {"COLUMNS": "200"}


def help_of_program(*command: str) -> str:
    done = subprocess.run(
        [BIN / command[0], *command[1:], "--help"], capture_output=True, text=True, check=True, env=WIDE
    )
    return done.stdout


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command: str, commands: CommandLine) -> None:
    words = command.split()
    path = words[:3] if words[1] == "project" else words[:2]
    is_own = path[1] == "http"  # the gateway's command line, which takes the process over
    text = help_of_program(*path) if is_own else commands.run(*path[1:], "--help", environment=WIDE).output
    assert text
    for option in (word for word in words if word.startswith("--")):
        assert option in text, f"{' '.join(path)} has no {option}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z-]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_variable_is_read_by_a_program(commands: CommandLine) -> None:
    programs = help_of_program("lookalike-embedder") + help_of_program("lookalike-searcher")
    programs += commands.run("search", "--help", environment=WIDE).output
    variables = set(re.findall(r"`((?:LOOKALIKE_|DATABASE_)[A-Z_]+)`", README))
    assert len(variables) >= 6
    assert not {variable for variable in variables if variable not in programs}


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
