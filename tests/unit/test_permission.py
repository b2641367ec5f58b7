"""The one table of what RPCs ask of their callers, and who may touch what."""

import re
from pathlib import Path

import pytest
from grpc_reflection.v1alpha import reflection

from lookalike._transport.loopback import is_loopback, stays_here
from lookalike.constants import ADMIN, READ, SCOPES, WRITE
from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike_serving.security.caller import ANYBODY, Caller
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.security.permissions import OPEN, PERMISSIONS

SERVICES = [
    embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"],
    searcher_pb2.DESCRIPTOR.services_by_name["SearcherService"],
]
METHODS = {f"{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def test_every_rpc_of_both_services_is_in_the_table_and_nothing_else_but_reflection() -> None:
    assert set(PERMISSIONS) - set(METHODS) == {f"{reflection.SERVICE_NAME}/ServerReflectionInfo"}
    assert set(METHODS) <= set(PERMISSIONS)
    assert not set(PERMISSIONS) & OPEN


@pytest.mark.parametrize("name", METHODS)
def test_every_project_that_a_request_can_name_is_looked_at(name: str) -> None:
    """A field that is called `project`, or a project's `name`, of the request or of what it repeats."""
    request = METHODS[name].input_type._concrete_class()
    fields = request.DESCRIPTOR.fields_by_name
    if "requests" in fields:
        request.requests.add(project="theirs")
    elif found := [field for field in ("project", "name") if field in fields]:
        setattr(request, found[0], "theirs")
    else:
        assert PERMISSIONS[name].projects is None
        return
    projects = PERMISSIONS[name].projects
    assert projects
    assert list(projects(request)) == ["theirs"]


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| (yes|no) \|$", DOCS.read_text(), re.MULTILINE)
    documented = {name: (frozenset(scopes.split(" or ")), audited == "yes") for name, scopes, audited in rows}
    scopes = {name.partition("/")[2]: (one.scopes, one.audited) for name, one in PERMISSIONS.items()}
    assert documented == {
        name: (frozenset({"any"}) if needed == SCOPES else needed, audited)
        for name, (needed, audited) in scopes.items()
    }


def test_what_changes_something_is_never_for_readers_and_always_written_down() -> None:
    for name, permission in PERMISSIONS.items():
        verb = re.match("[A-Z][a-z]+", name.partition("/")[2])
        assert verb
        changes = verb[0] in ("Create", "Update", "Delete", "Index", "Sync", "Cut", "Record", "Merge", "Dismiss")
        assert permission.audited == changes
        assert not changes or permission.scopes <= {WRITE, ADMIN}


@pytest.mark.parametrize(
    ("projects", "name", "allowed"),
    [
        (("shop",), "shop", True),
        (("shop",), "shop-2", False),
        (("shop",), "sho", False),
        (("shop-*",), "shop-2", True),
        (("shop-*",), "shop-", True),
        (("shop-*",), "shop", False),
        (("*",), "anything", True),
        ((), "shop", False),
        (("a", "b"), "b", True),
        (("s_op",), "shop", False),
    ],
)
def test_a_caller_may_touch_his_projects(projects: tuple[str, ...], name: str, allowed: bool) -> None:
    assert Caller(projects=projects).may_touch(name) is allowed


def test_scopes_do_not_include_one_another() -> None:
    assert not Caller(scopes=frozenset({ADMIN})).has_any({READ})
    assert not Caller(scopes=frozenset({WRITE})).has_any({READ, ADMIN})
    assert ANYBODY.has_any({READ})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_these_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)
    Security().check(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "shop.example", "", "localhost.evil.example"])  # noqa: S104
def test_beyond_this_machine_somebody_must_be_trusted_or_everybody_be_let_in(host: str) -> None:
    with pytest.raises(InvalidSecurity, match="--insecure"):
        Security().check(host)
    files = Path("cert"), Path("key")
    with pytest.raises(InvalidSecurity, match="--insecure"):  # encrypted, but open to everybody
        Security(*files).check(host)
    Security(insecure=True).check(host)
    Security(*files, tls_client_ca=Path("ca")).check(host)
    Security(jwks=Path("jwks")).check(host)
    Security(jwks_url="https://login.example").check(host)


@pytest.mark.parametrize(
    ("target", "stays"),
    [
        ("localhost:50051", True),
        ("127.0.0.1:50051", True),
        ("[::1]:50051", True),
        ("::1", True),
        ("localhost", True),
        ("dns:///localhost:1", True),
        ("dns://8.8.8.8/localhost:1", True),
        ("unix:/run/searcher", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("searcher:50052", False),
        ("dns:///searcher.shop.svc:50052", False),
        ("xds:///localhost", False),
        ("[fe80::1]:1", False),
    ],
)
def test_what_is_sent_to_a_target_stays_on_this_machine_or_not(target: str, stays: bool) -> None:
    assert stays_here(target) is stays
