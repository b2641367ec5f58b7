"""The gateway before servers that ask for tokens: it hands on the caller's, and never one of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from typer.testing import CliRunner

from lookalike import Client, Credentials
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_gateway import openapi, server
from lookalike_gateway.__main__ import app
from lookalike_gateway.app import application
from lookalike_gateway.config import Config
from lookalike_gateway.metrics import Metrics
from lookalike_gateway.server import serving
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config as SearcherConfig
from lookalike_searcher.database.pool import Database
from lookalike_serving.security.config import InvalidSecurity, Security
from tests import colour_embedder
from tests.integration.conftest import address
from tests.integration.test_http_api import JPEG, RED, problem
from tests.integration.test_tokens import logged
from tests.signing import Signer, jwks


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def security(signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Security:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(jwks(signer))
    return Security(jwks=path)


@pytest.fixture(scope="module")
async def config(embedder_config: EmbedderConfig, database: Database, security: Security) -> AsyncIterator[Config]:
    """Before a searcher that asks for tokens."""
    settings = SearcherConfig(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600, security=security)
    async with (
        colour_embedder.embedder(embedder_config, "s") as embedder,
        searcher_server.serving(settings, database) as searcher,
    ):
        yield Config(embedder=address(embedder), searcher=address(searcher), port=0, grace=5)


@pytest.fixture(scope="module")
async def http(config: Config) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(config) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
async def shop(http: httpx.AsyncClient, config: Config, searcher_channel: grpc.aio.Channel) -> AsyncIterator[str]:
    name, anybody = f"locked-{uuid.uuid4().hex[:8]}", SearcherServiceStub(searcher_channel)
    async with Client(config.embedder, config.searcher) as client:
        space = (await client.model()).space
    await anybody.CreateProject(wire.CreateProjectRequest(name=name, space=space))
    yield name
    await anybody.DeleteProject(wire.DeleteProjectRequest(name=name))


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_the_callers_token_is_handed_on_and_the_searcher_decides(
    http: httpx.AsyncClient, shop: str, signer: Signer
) -> None:
    path = f"/v1/projects/{shop}"
    answer = await http.get(path)
    problem(answer, 401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await http.get(path, headers=bearing("a.b.c"))
    problem(answer, 401, "TOKEN_INVALID")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    reader = bearing(signer.token("read", projects=[shop]))
    assert (await http.get(path, headers=reader)).json()["name"] == shop
    found = await http.post(f"{path}/image-search", content=RED, headers=JPEG | reader)
    assert (found.status_code, found.json()["count"]) == (200, 0)
    for answer in (
        await http.patch(path, json={"searchEnabled": False}, headers=reader),
        await http.get("/v1/projects/nobodys", headers=reader),
    ):
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    listed = await http.get("/v1/projects", headers=reader)
    assert [one["name"] for one in listed.json()["projects"]] == [shop]


async def test_callers_do_not_get_one_anothers_tokens(http: httpx.AsyncClient, shop: str, signer: Signer) -> None:
    good, bad = bearing(signer.token("read", projects=[shop])), bearing(signer.token("read", projects=["other"]))
    path = f"/v1/projects/{shop}"
    answers = await asyncio.gather(*(http.get(path, headers=(good, bad, {})[n % 3]) for n in range(30)))
    assert [answer.status_code for answer in answers] == [200, 403, 401] * 10
    assert (await http.get(path)).status_code == 401


async def test_probes_and_the_page_need_no_token(http: httpx.AsyncClient) -> None:
    for path in "/", "/docs", "/openapi.json", "/healthz", "/readyz":
        assert (await http.get(path)).status_code == 200, path
    assert (await http.get("/readyz")).json() == {"status": "ok", "embedder": True, "searcher": True}


async def test_what_the_face_can_see_itself_is_refused_before_a_server_is_asked_or_a_body_read(
    security: Security, signer: Signer
) -> None:
    nowhere = Config(embedder="127.0.0.1:1", searcher="127.0.0.1:1", port=0, grace=5, timeout=0.2, security=security)
    async with serving(nowhere) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        with logged() as records:
            answer = await http.get("/v1/projects", headers=bearing(signer.token("write", sub="writer")))
        found = vars(records[0])
        assert (found["method"], found["subject"], found["reason"]) == ("GET /v1/projects", "writer", "SCOPE_MISSING")
        assert found["request_id"] == answer.headers["x-request-id"]
        problem(await http.get("/v1/projects"), 401, "TOKEN_MISSING")
        problem(await http.get("/v1/projects", headers=bearing("a.b.c")), 401, "TOKEN_INVALID")
        reader = bearing(signer.token("read", projects=["shop"]))
        problem(await http.get("/v1/projects/theirs", headers=reader), 403, "PROJECT_DENIED")
        problem(
            await http.get("/v1/projects/theirs/images/" + 64 * "0" + "/thumbnail", headers=reader),
            403,
            "PROJECT_DENIED",
        )
        problem(await http.patch("/v1/projects/shop", json={}, headers=reader), 403, "SCOPE_MISSING")
        body_that_is_no_photo = {"content-type": "text/plain"} | bearing("a.b.c")
        path = "/v1/projects/shop/image-search"
        problem(await http.post(path, content=b"x", headers=body_that_is_no_photo), 401, "TOKEN_INVALID")
        answer = await http.get("/v1/projects/shop", headers=reader)
        assert answer.status_code in (503, 504)  # it was let in, and there is nobody


async def test_a_token_is_not_handed_on_in_the_clear(signer: Signer) -> None:
    far = Config(embedder="embedder.invalid:1", searcher="searcher.invalid:1", port=0, grace=5, timeout=0.2)
    async with serving(far) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        problem(await http.get("/v1/projects", headers=bearing(signer.token())), 409, "UNUSABLE_CREDENTIALS")


def test_the_command_line_gives_the_face_no_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Config] = []

    def note(config: Config, _: object) -> None:
        seen.append(config)
        raise InvalidSecurity("seen")

    monkeypatch.setattr(server, "serving", note)
    environment = {"LOOKALIKE_TOKEN": "ours", "LOOKALIKE_TOKEN_FILE": "/token", "LOOKALIKE_TLS_CA": "/ca.pem"}
    done = CliRunner().invoke(app, ["--port", "0"], env=environment)
    assert done.exit_code == 2
    assert seen[0].credentials == Credentials(ca=Path("/ca.pem"))


async def test_a_head_that_does_not_come_in_time_costs_its_connection() -> None:
    slow = Config(embedder="127.0.0.1:1", searcher="127.0.0.1:1", port=0, grace=5, body_timeout=0.1)
    async with serving(slow) as url:
        for sent in b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nG":
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
            writer.write(sent)
            assert (await asyncio.wait_for(reader.read(), 120)).endswith(
                b'{"status":"ok"}' if b"healthz" in sent else b""
            )
            writer.close()
            await writer.wait_closed()


def test_the_document_says_where_a_token_is_needed() -> None:
    made = openapi.document(application(Config(), Metrics()))
    assert made["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in made["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == path.startswith("/v1/")
            assert {"401", "403"} <= set(operation["responses"]) or not path.startswith("/v1/")
