"""The manifests for Kubernetes: valid, shut in, fit together, and name only what the programs have."""

import re
from collections.abc import Iterable
from itertools import product
from typing import Any

import kubernetes_validate
import pytest
import yaml

from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_gateway.config import Config as GatewayConfig
from lookalike_searcher.config import Config as SearcherConfig
from lookalike_serving.security.config import InvalidSecurity
from tests.deployment import (
    CREDENTIALS,
    DEPLOY,
    FOREIGN,
    IMAGES,
    KUBECTL,
    OVERLAYS,
    PROGRAMS,
    Manifest,
    rendered,
    settings,
)

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is needed: see kubernetes.io/docs/tasks/tools")

VERSION = "1.32"
OPERATORS = {"Certificate", "Cluster", "Issuer", "ScaledObject", "PodMonitor", "PrometheusRule"}
"""Kinds of operators, whose schemas Kubernetes does not have."""
FOLDERS = [*(f"overlays/{name}" for name in OVERLAYS), "jobs/index", "jobs/index-secure", "jobs/backup"]
OPEN = {"plain"}
"""Overlays in which anybody who gets there is let in."""
METRICS = {
    "embedder": EmbedderConfig.METRICS_PORT,
    "searcher": SearcherConfig.METRICS_PORT,
    "http": GatewayConfig.METRICS_PORT,
}
ONCE = {"index", "backup"}
"""What runs once, as a job."""


TLS = {"tls.crt", "tls.key", "ca.crt"}
KEYS = {"embedder-tls": TLS, "searcher-tls": TLS, "http-tls": TLS, "lookalike-jwks": {"jwks.json"}}
"""What is in the secrets that are mounted as folders."""


@pytest.fixture(params=FOLDERS)
def manifests(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    return rendered(request.param)


def of(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [found for found in manifests if found["kind"] in kinds]


def workloads(manifests: Iterable[Manifest]) -> list[Manifest]:
    return of(manifests, "Deployment", "StatefulSet", "Job")


def pod(workload: Manifest) -> Manifest:
    found: Manifest = workload["spec"]["template"]
    return found


def component(workload: Manifest) -> str:
    return str(workload["metadata"]["labels"]["app.kubernetes.io/component"])


def ours(manifests: Iterable[Manifest]) -> list[tuple[str, Manifest, Manifest]]:
    """Our programs: which, the workload, its container."""
    return [
        (component(found), found, pod(found)["spec"]["containers"][0])
        for found in workloads(manifests)
        if component(found) in PROGRAMS
    ]


def environment(manifests: Iterable[Manifest], container: Manifest) -> dict[str, str]:
    """The variables of a container; empty where the value comes from elsewhere."""
    maps = {found["metadata"]["name"]: found["data"] for found in of(manifests, "ConfigMap")}
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    return found | {one["name"]: one.get("value", "") for one in container.get("env", [])}


def told(name: str, manifests: Iterable[Manifest], container: Manifest) -> dict[str, str]:
    """The variables of a program of ours, with its image's own."""
    return settings(IMAGES[name]) | environment(manifests, container)


def fits(selector: Manifest, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def test_each_manifest_is_valid(manifests: tuple[Manifest, ...]) -> None:
    for manifest in manifests:
        if manifest["kind"] not in OPERATORS:
            kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_pods_are_shut_in(manifests: tuple[Manifest, ...]) -> None:
    for workload in workloads(manifests):
        spec = pod(workload)["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"]
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert re.search(r":v?\d+\.\d+\.\d+", container["image"]), container["image"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            volumes = [*spec.get("volumes", []), *(one["metadata"] for one in claims(workload))]
            assert mounted <= {volume["name"] for volume in volumes}


def claims(workload: Manifest) -> list[Manifest]:
    found: list[Manifest] = workload["spec"].get("volumeClaimTemplates", [])
    return found


def test_variables_and_flags_are_the_programs(manifests: tuple[Manifest, ...]) -> None:
    found = ours(manifests)
    assert found
    for name, _, container in found:
        program = PROGRAMS[name]
        assert set(environment(manifests, container)) <= program.variables | CREDENTIALS | FOREIGN
        arguments = container.get("args", [])
        assert {argument for argument in arguments if argument.startswith("--")} <= program.flags
        assert not arguments or arguments[0] == name


def test_a_pod_has_longer_to_end_than_its_program(manifests: tuple[Manifest, ...]) -> None:
    for name, workload, container in ours(manifests):
        if name in ONCE:
            continue
        told = environment(manifests, container)[f"LOOKALIKE_{name.upper()}_GRACE"]
        grace = PROGRAMS[name].defaults["grace"]
        assert float(told) == grace
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        flush = 3  # seconds that the last spans may take
        assert pod(workload)["spec"]["terminationGracePeriodSeconds"] > before + grace + flush


def test_probes_ask_where_the_program_answers(manifests: tuple[Manifest, ...]) -> None:
    for name, _, container in ours(manifests):
        if name in ONCE:
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        program = PROGRAMS[name].defaults["port"]
        assert ports == {"http" if name == "http" else "grpc": program, "metrics": METRICS[name]}
        probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
        tls = bool(PROGRAMS[name].security(told(name, manifests, container))[0].tls)
        for probe in probes.values():
            match probe:
                case {"grpc": {"port": int(port)}}:
                    assert port == program
                    assert not tls, "the kubelet asks in the clear"
                case {"exec": {"command": ["lookalike", "health", address, "--timeout", timeout]}}:
                    assert address == f"localhost:{program}"
                    assert float(timeout) < probe["timeoutSeconds"]
                case {"httpGet": {"path": path, "port": port}}:
                    assert port in ports
                    assert path in {"/healthz", "/readyz"}
                    assert probe["httpGet"].get("scheme", "HTTP") == ("HTTPS" if tls else "HTTP")
                case {"tcpSocket": {"port": port}}:
                    assert port in ports
                case _:
                    pytest.fail(f"a probe of a kind that is not known: {probe}")
        assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 60
        if name == "searcher":  # when the database is away its health fails, and it is no use to restart it for that
            assert set(probes["liveness"]).isdisjoint({"grpc", "exec"})


@pytest.mark.parametrize("name", OVERLAYS)
def test_who_listens_encrypts_and_asks_who_comes_or_says_that_it_does_not(name: str) -> None:
    manifests = rendered(f"overlays/{name}")
    for program, _, container in ours(manifests):
        security, insecure = PROGRAMS[program].security(told(program, manifests, container))
        assert insecure == (name in OPEN)
        assert bool(security.tls) == security.by_token == (not insecure)


@pytest.mark.parametrize("name", ["plain", "citus"])
def test_a_database_of_ours_has_a_superuser_of_another_name_and_makes_the_searchers_role(name: str) -> None:
    manifests = rendered(f"overlays/{name}")
    made = {found["metadata"]["name"]: found["data"] for found in of(manifests, "ConfigMap")}
    databases = of(manifests, "StatefulSet")
    assert databases
    for workload in databases:
        container = pod(workload)["spec"]["containers"][0]
        assert environment((), container)["POSTGRES_USER"] == "postgres"
        volumes = {volume["name"]: volume for volume in pod(workload)["spec"]["volumes"]}
        scripts = [mount for mount in container["volumeMounts"] if "/docker-entrypoint-initdb.d/" in mount["mountPath"]]
        ran = [made[volumes[mount["name"]]["configMap"]["name"]][mount["subPath"]] for mount in scripts]
        assert "CREATE ROLE lookalike LOGIN NOSUPERUSER" in ran[0]
        assert "ALTER ROLE lookalike PASSWORD" in ran[1]


def test_the_face_stays_while_the_embedders_are_away() -> None:
    """Its readiness asks what `test_health_is_ours_and_theirs` holds to the searcher alone."""
    [container] = [found for name, _, found in ours(rendered("overlays/plain")) if name == "http"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_what_operators_select_by_label_has_the_label() -> None:
    watched = of(rendered("overlays/production"), "PodMonitor", "PrometheusRule")
    assert {found["metadata"]["labels"]["release"] for found in watched} == {"kube-prometheus-stack"}


def test_without_a_choice_no_program_starts() -> None:
    manifests = rendered("base")
    for program, _, container in ours(manifests):
        with pytest.raises(InvalidSecurity, match="--insecure"):
            PROGRAMS[program].security(told(program, manifests, container))


def test_files_that_variables_name_are_mounted(manifests: tuple[Manifest, ...]) -> None:
    for _, workload, container in ours(manifests):
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod(workload)["spec"]["volumes"]}
        for value in environment(manifests, container).values():
            if value.startswith("/run/"):
                folder, _, file = value.rpartition("/")
                match volumes[mounts[folder]]:
                    case {"secret": {"secretName": secret}}:
                        assert file in KEYS[secret]
                    case {"projected": {"sources": sources}}:
                        items = [item for source in sources for item in source["secret"]["items"]]
                        assert file in {item["path"] for item in items}
                assert pod(workload)["spec"]["securityContext"]["fsGroup"] == 10001


@pytest.mark.parametrize("name", sorted(set(OVERLAYS) - OPEN))
def test_a_certificate_is_for_the_name_that_clients_and_the_own_probe_use(name: str) -> None:
    manifests = rendered(f"overlays/{name}")
    names = {found["spec"]["secretName"]: found["spec"].get("dnsNames", []) for found in of(manifests, "Certificate")}
    for program, workload, container in ours(manifests):
        [secret] = [one["secret"] for one in pod(workload)["spec"]["volumes"] if one["name"] == "tls"]
        assert {program, "localhost"} <= set(names[secret["secretName"]])
        asked = environment(manifests, container)
        for other in ("embedder", "searcher") if program == "http" else ():
            assert asked[f"LOOKALIKE_{other.upper()}"].startswith(f"dns:///{other}:")


@pytest.mark.parametrize("name", OVERLAYS)
def test_who_asks_a_url_for_keys_may_go_there_and_nobody_else(name: str) -> None:
    manifests = rendered(f"overlays/{name}")
    for _, workload, container in ours(manifests):
        out = [
            port["port"]
            for policy in of(manifests, "NetworkPolicy")
            if fits(policy["spec"]["podSelector"], pod(workload)["metadata"]["labels"])
            for rule in policy["spec"].get("egress", [])
            if any("ipBlock" in peer for peer in rule["to"])
            for port in rule["ports"]
            if port["port"] != 53
        ]
        assert out == ([443] if environment(manifests, container).get("LOOKALIKE_JWKS_URL") else [])


def test_embedders_use_as_many_processors_as_they_are_given(manifests: tuple[Manifest, ...]) -> None:
    for name, _, container in ours(manifests):
        if name == "embedder":
            sources = {one["name"]: one.get("valueFrom", {}).get("resourceFieldRef") for one in container["env"]}
            assert sources["LOOKALIKE_EMBEDDER_DECODE_THREADS"] == {"resource": "limits.cpu"}
            assert sources["OMP_NUM_THREADS"] == {"resource": "limits.cpu"}
            limits, requests = container["resources"]["limits"], container["resources"]["requests"]
            assert limits["cpu"] == requests["cpu"]
            assert limits["cpu"].isdigit()


@pytest.mark.parametrize("name", OVERLAYS)
def test_services_budgets_and_autoscalers_find_their_pods(name: str) -> None:
    manifests = rendered(f"overlays/{name}")
    labels = [pod(workload)["metadata"]["labels"] for workload in workloads(manifests)]
    for service in of(manifests, "Service"):
        selected = [
            pod(found)
            for found in workloads(manifests)
            if service["spec"]["selector"].items() <= pod(found)["metadata"]["labels"].items()
        ]
        assert selected, service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            for template in selected:
                if port["targetPort"] not in {
                    one["name"] for one in template["spec"]["containers"][0].get("ports", [])
                }:
                    assert "register" in template["metadata"]["labels"].values()
    for budget in of(manifests, "PodDisruptionBudget"):
        assert any(fits(budget["spec"]["selector"], label) for label in labels)
    scaled = {
        found["spec"]["scaleTargetRef"]["name"] for found in of(manifests, "HorizontalPodAutoscaler", "ScaledObject")
    }
    deployments = of(manifests, "Deployment")
    assert scaled <= {found["metadata"]["name"] for found in deployments}
    for found in deployments:  # a number of replicas and an autoscaler would undo each other's work
        assert (found["metadata"]["name"] in scaled) != ("replicas" in found["spec"])
    headless = {
        found["metadata"]["name"] for found in of(manifests, "Service") if found["spec"].get("clusterIP") == "None"
    }
    assert {"embedder", "searcher"} <= headless
    assert {found["metadata"]["name"] for found in of(manifests, "PodDisruptionBudget")} == {
        "embedder",
        "searcher",
        "http",
    }


def test_addresses_are_those_of_services() -> None:
    manifests = rendered("overlays/plain")
    services = {found["metadata"]["name"]: found["spec"]["ports"][0]["port"] for found in of(manifests, "Service")}
    for _, _, container in [*ours(manifests), *ours(rendered("jobs/index"))]:
        told = environment(manifests, container)
        for name in ("LOOKALIKE_EMBEDDER", "LOOKALIKE_SEARCHER"):
            if name in told:
                host, port = re.fullmatch(r"dns:///(\w+):(\d+)", told[name]).groups()  # type: ignore[union-attr]
                assert services[host] == int(port)


def test_a_jobs_shares_are_as_many_as_its_pods() -> None:
    [job] = of(rendered("jobs/index"), "Job")
    told = environment((), pod(job)["spec"]["containers"][0])
    assert job["spec"]["completions"] == int(told["LOOKALIKE_SHARDS"])
    assert job["spec"]["completionMode"] == "Indexed"


def test_the_gpu_overlay_asks_for_one_and_nothing_else_does() -> None:
    wanted = {
        name: [
            (component(found), pod(found)["spec"].get("nodeSelector"))
            for found in workloads(rendered(f"overlays/{name}"))
            if "nvidia.com/gpu" in pod(found)["spec"]["containers"][0]["resources"]["limits"]
        ]
        for name in OVERLAYS
    }
    assert {name: bool(found) for name, found in wanted.items()} == {name: name == "gpu" for name in OVERLAYS}
    assert wanted["gpu"] == [("embedder", {"nvidia.com/gpu.present": "true"})]
    [(_, _, container)] = [found for found in ours(rendered("overlays/gpu")) if found[0] == "embedder"]
    assert environment(rendered("overlays/gpu"), container)["LOOKALIKE_EMBEDDER_DEVICE"] == "cuda"


def test_the_coordinator_is_told_of_each_worker() -> None:
    manifests = rendered("overlays/citus")
    [sql] = [found["data"]["register.sql"] for found in of(manifests, "ConfigMap") if "register.sql" in found["data"]]
    [workers] = [found for found in of(manifests, "StatefulSet") if found["metadata"]["name"] == "citus-worker"]
    name, service = workers["metadata"]["name"], workers["spec"]["serviceName"]
    nodes = {f"{name}-{number}.{service}" for number in range(workers["spec"]["replicas"])}
    assert set(re.findall(r"citus_add_node\('([^']+)', 5432\)", sql)) == nodes


LABELS = {
    "embedder": {"app.kubernetes.io/component": "embedder"},
    "searcher": {"app.kubernetes.io/component": "searcher"},
    "http": {"app.kubernetes.io/component": "http", "lookalike/client": "true"},
    "index": {"app.kubernetes.io/component": "index", "lookalike/client": "true"},
    "backup": {"app.kubernetes.io/component": "backup"},
    "database": {"app.kubernetes.io/component": "database"},
    "stranger": {"app.kubernetes.io/name": "other"},
}
PORTS = {"embedder": 50051, "searcher": 50052, "http": 8080, "database": 5432}
NAMED = {50051: "grpc", 50052: "grpc", 8080: "http", 5432: "postgres"}
ALLOWED = {
    ("http", "embedder"),
    ("http", "searcher"),
    ("index", "embedder"),
    ("index", "searcher"),
    ("searcher", "database"),
    ("backup", "database"),
}


def passes(rules: Iterable[Manifest], side: str, other: dict[str, str], port: int) -> bool:
    """Whether a rule lets the other pod of our namespace through, on the port."""

    def lets(peer: Manifest) -> bool:
        return "podSelector" in peer and "namespaceSelector" not in peer and fits(peer["podSelector"], other)

    return any(
        any(lets(peer) for peer in rule.get(side, [])) and {port, NAMED[port]} & {one["port"] for one in rule["ports"]}
        for rule in rules
    )


@pytest.mark.parametrize(("sender", "receiver"), [*product(LABELS, PORTS)])
def test_only_those_talk_who_must(sender: str, receiver: str) -> None:
    policies = of([*rendered("overlays/plain"), *rendered("jobs/index"), *rendered("jobs/backup")], "NetworkPolicy")
    source, target = ({"app.kubernetes.io/name": "lookalike"} | LABELS[name] for name in (sender, receiver))

    def open_(labels: dict[str, str], direction: str, side: str, other: dict[str, str]) -> bool:
        bound = [
            policy["spec"]
            for policy in policies
            if direction in policy["spec"]["policyTypes"] and fits(policy["spec"]["podSelector"], labels)
        ]
        rules = [rule for spec in bound for rule in spec.get(direction.lower(), [])]
        return not bound or passes(rules, side, other, PORTS[receiver])

    through = open_(source, "Egress", "to", target) and open_(target, "Ingress", "from", source)
    assert through == ((sender, receiver) in ALLOWED)


def test_the_adapters_rule_names_what_the_autoscaler_asks_for() -> None:
    text = (DEPLOY / "kubernetes/components/queue-wait-hpa/adapter-rule.yaml").read_text()
    [rule] = yaml.safe_load(text)["externalRules"]
    [scaler] = [
        found for found in of(rendered("overlays/citus"), "HorizontalPodAutoscaler") if component(found) == "embedder"
    ]
    asked: Any = scaler["spec"]["metrics"][0]["external"]["metric"]["name"]
    assert rule["name"]["as"] == asked
