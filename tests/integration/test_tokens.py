"""Tokens, over a real socket to a server that only answers: who is let in, and what the others are told."""

import base64
import json
import logging
import math
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import jwt
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from lookalike import Client, Credentials, LookalikeError, errors
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer, EmbedderServiceStub
from lookalike_serving.errors import Context
from lookalike_serving.security import factory, keys
from lookalike_serving.security.caller import CALLER
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.security.errors import Unauthenticated
from lookalike_serving.security.jwt import LEEWAY_SECONDS, TokenVerifier
from lookalike_serving.server import Server
from tests.signing import Signer, bearer, jwks
from tests.small_server import small_server

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name
SECRET = base64.urlsafe_b64encode(b"a secret that is known to two, 32+").decode().rstrip("=")


class Servicer(EmbedderServiceServicer):
    """GetModel says who asks."""

    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:  # noqa: N802
        return wire.GetModelResponse(space=CALLER.get().subject)

    async def Embed(self, request: wire.EmbedRequest, context: Context) -> wire.EmbedResponse:  # noqa: N802
        return wire.EmbedResponse()

    async def EmbedStream(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        async for request in request_iterator:
            yield wire.EmbedStreamResponse(sequence=request.sequence)


@asynccontextmanager
async def serving(security: Security) -> AsyncIterator[Server]:
    servicer = Servicer()  # type: ignore[abstract] # EmbedText is not called here
    guard, certificate = factory.guard(security), factory.certificate(security)
    async with small_server(servicer, guard=guard, certificate=certificate) as server:
        yield server


@pytest.fixture(scope="module")
def signers() -> list[Signer]:
    return [Signer(algorithm, algorithm) for algorithm in ("EdDSA", "ES256", "RS256")]


@pytest.fixture(scope="module")
def signer(signers: list[Signer]) -> Signer:
    return signers[0]


@pytest.fixture(scope="module")
def security(signers: list[Signer], tmp_path_factory: pytest.TempPathFactory) -> Security:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys = json.loads(jwks(*signers))["keys"]
    path.write_text(json.dumps({"keys": [*keys, {"kty": "oct", "kid": "shared", "k": SECRET}]}))
    return Security(jwks=path, issuer="https://login.example")


@pytest.fixture(scope="module")
async def server(security: Security) -> AsyncIterator[Server]:
    async with serving(security) as server:
        yield server


@pytest.fixture(scope="module")
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.aio.Channel) -> EmbedderServiceStub:
    return EmbedderServiceStub(channel)


def good(signer: Signer, **claims: Any) -> str:  # noqa: ANN401
    return signer.token(**{"iss": "https://login.example", **claims})


async def refused(
    stub: EmbedderServiceStub, metadata: list[tuple[str, str]], method: str = "GetModel"
) -> LookalikeError:
    """What the caller is told."""
    request = {"GetModel": wire.GetModelRequest, "Embed": wire.EmbedRequest}[method]()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(stub, method)(request, metadata=metadata)
    return errors.from_rpc(caught.value, "server")


@pytest.mark.parametrize("number", range(3))
async def test_a_token_lets_in_whom_it_names(stub: EmbedderServiceStub, signers: list[Signer], number: int) -> None:
    answer = await stub.GetModel(wire.GetModelRequest(), metadata=bearer(good(signers[number], sub=f"shop-{number}")))
    assert answer.space == f"shop-{number}"


async def test_a_secret_in_the_file_signs_too(stub: EmbedderServiceStub, signer: Signer) -> None:
    claims = jwt.decode(good(signer, sub="shared"), options={"verify_signature": False})
    token = jwt.encode(claims, base64.urlsafe_b64decode(SECRET + "=="), "HS256", {"kid": "shared"})
    assert (await stub.GetModel(wire.GetModelRequest(), metadata=bearer(token))).space == "shared"


def unsigned(token: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "root"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


def confused(signer: Signer) -> str:
    """Signed as with a secret, which is the public key, that everybody knows."""
    claims = jwt.decode(good(signer), options={"verify_signature": False})
    public = signer.private.public_key().public_bytes_raw()
    return jwt.encode(claims, public, "HS256", {"kid": signer.key_id})


FORGERIES: dict[str, Callable[[Signer], str]] = {
    "unsigned": lambda signer: unsigned(good(signer)),
    "tampered": lambda signer: tampered(good(signer)),
    "algorithm confused": confused,
    "another key of the same name": lambda signer: good(Signer(key_id=signer.key_id)),
    "an unknown key": lambda signer: good(Signer(key_id="unknown")),
    "a key without a name": lambda signer: jwt.encode({"sub": "x", "exp": time.time() + 60}, signer.private, "EdDSA"),
    "for another audience": lambda signer: good(signer, aud="elsewhere"),
    "for no audience": lambda signer: good(signer, aud=None),
    "of another issuer": lambda signer: good(signer, iss="https://evil.example"),
    "of no issuer": lambda signer: good(signer, iss=None),
    "not yet": lambda signer: good(signer, nbf=time.time() + LEEWAY_SECONDS + 30),
    "without an end": lambda signer: good(signer, exp=None),
    "without a subject": lambda signer: good(signer, sub=None),
    "scopes of another form": lambda signer: good(signer, scope=["read"]),
    "projects of another form": lambda signer: good(signer, projects="*"),
    "projects that are patterns": lambda signer: good(signer, projects=["sh%p"]),
    "a rate that is none": lambda signer: good(signer, rate="fast"),
    "a rate beyond all numbers": lambda signer: good(signer, rate=10**400),
    "an infinite rate": lambda signer: good(signer, rate=math.inf),
    "a rate of nothing": lambda signer: good(signer, rate=5e-324),
    "an end beyond all numbers": lambda signer: good(signer, exp=10**400),
    "an infinite end": lambda signer: good(signer, exp=math.inf),
    "a beginning beyond all numbers": lambda signer: good(signer, nbf=math.inf),
    "half a character for a subject": lambda signer: good(signer, sub="\ud800"),
    "half a character for its id": lambda signer: good(signer, jti="\udfff"),
    "half a character for its key": lambda signer: good(Signer(key_id="\ud800")),
    "half a character in a project": lambda signer: good(signer, projects=["\ud800"]),
    "a subject too long": lambda signer: good(signer, sub="x" * 257),
    "too long": lambda signer: good(signer, padding="x" * 4600),
    "garbage": lambda _signer: "a.b.c",
    "not even that": lambda _signer: "~",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_token_that_is_not_for_us_is_refused_without_a_word_why(
    stub: EmbedderServiceStub, signer: Signer, forgery: str
) -> None:
    failure = await refused(stub, bearer(FORGERIES[forgery](signer)))
    assert (type(failure), failure.reason) == (errors.UnauthenticatedError, "TOKEN_INVALID")
    assert str(failure) == "authorization: the token is not one that is accepted here"
    assert failure.metadata == {}


async def test_a_token_that_has_expired_is_told_so_if_it_was_good(stub: EmbedderServiceStub, signer: Signer) -> None:
    old = time.time() - LEEWAY_SECONDS - 1
    assert (await refused(stub, bearer(good(signer, exp=old)))).reason == "TOKEN_EXPIRED"
    assert (await refused(stub, bearer(good(Signer(key_id=signer.key_id), exp=old)))).reason == "TOKEN_INVALID"
    within = good(signer, exp=time.time() - LEEWAY_SECONDS / 2)
    await stub.GetModel(wire.GetModelRequest(), metadata=bearer(within))


async def test_a_token_that_was_seen_expires_as_well(signers: list[Signer], security: Security) -> None:
    """What is remembered of tokens outlives none of them."""
    assert security.jwks
    verifier = TokenVerifier(keys.FileSource(security.jwks), audience="lookalike", issuer=None)
    token = signers[0].token()
    verifier._callers[token] = replace(await verifier.verify(token), expires=time.time())
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.verify(token)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([], "TOKEN_MISSING"),
        ([("authorization", "")], "TOKEN_INVALID"),
        ([("authorization", "Bearer ")], "TOKEN_INVALID"),
        ([("authorization", "Basic YTpi")], "TOKEN_INVALID"),
    ],
)
async def test_without_one_token_nobody_is_let_in(
    stub: EmbedderServiceStub, metadata: list[tuple[str, str]], reason: str
) -> None:
    assert (await refused(stub, metadata)).reason == reason


async def test_two_tokens_are_none_although_each_is_good(stub: EmbedderServiceStub, signer: Signer) -> None:
    assert (await refused(stub, 2 * bearer(good(signer)))).reason == "TOKEN_INVALID"


async def test_a_token_without_the_scope_is_refused_and_told_which(stub: EmbedderServiceStub, signer: Signer) -> None:
    token = bearer(good(signer, scope="admin other"))
    assert (await stub.GetModel(wire.GetModelRequest(), metadata=token)).space == "somebody"
    failure = await refused(stub, token, "Embed")
    assert (type(failure), failure.reason) == (errors.PermissionDeniedError, "SCOPE_MISSING")
    assert failure.metadata == {"scope": "read or write"}
    assert (await refused(stub, bearer(good(signer, scope="")))).reason == "SCOPE_MISSING"


async def test_probes_need_no_token_but_reflection_does(channel: grpc.aio.Channel, signer: Signer) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    assert (await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))).status == 1
    ask = [reflection_pb2.ServerReflectionRequest(list_services="")]
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [answer async for answer in reflection.ServerReflectionInfo(iter(ask))]
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    call = reflection.ServerReflectionInfo(iter(ask), metadata=bearer(good(signer)))
    assert SERVICE in str([answer async for answer in call])


async def test_a_token_has_its_rate_and_others_have_theirs(stub: EmbedderServiceStub, signer: Signer) -> None:
    slow, other = bearer(good(signer, sub="slow", rate=0.01)), bearer(good(signer, sub="other", rate=0.01))
    await stub.GetModel(wire.GetModelRequest(), metadata=slow)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetModel(wire.GetModelRequest(), metadata=slow)
    failure = errors.from_rpc(caught.value, "server")
    assert isinstance(failure, errors.QuotaExceededError)
    assert failure.reason == "TOKEN_QUOTA_EXCEEDED"
    assert 90 < (failure.retry_after or 0) <= 100
    status = rpc_status.from_call(caught.value)
    quota = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(quota) for detail in status.details)
    assert quota.violations[0].subject == "token:slow"
    await stub.GetModel(wire.GetModelRequest(), metadata=other)


async def test_a_token_that_names_no_rate_has_the_servers(signers: list[Signer], security: Security) -> None:
    async with (
        serving(Security(jwks=security.jwks, rate=0.01)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub, token = EmbedderServiceStub(channel), bearer(signers[0].token())
        await stub.GetModel(wire.GetModelRequest(), metadata=token)
        assert (await refused(stub, token)).reason == "TOKEN_QUOTA_EXCEEDED"


class Lines(logging.Handler):
    """What is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logged(name: str = "lookalike.audit") -> Iterator[list[logging.LogRecord]]:
    handler, logger = Lines(), logging.getLogger(name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(level)
    logger.removeHandler(handler)


async def test_a_refusal_is_written_down_with_its_cause_and_without_the_token(
    stub: EmbedderServiceStub, signer: Signer
) -> None:
    forged = tampered(good(signer))
    with logged("") as records:
        await refused(stub, [*bearer(forged), ("x-request-id", "r-1")])
        await refused(stub, bearer(good(signer, scope="admin", sub="so\nmebody", jti="token-7")), "Embed")
    first, second = [record for record in records if record.name == "lookalike.audit"]
    found = vars(first)
    assert (found["request_id"], found["code"], found["reason"]) == ("r-1", "UNAUTHENTICATED", "TOKEN_INVALID")
    assert found["cause"] == "Signature verification failed"
    assert found["method"] == f"{SERVICE}/GetModel"
    found = vars(second)
    assert (found["subject"], found["token_id"], found["reason"]) == ("so\nmebody", "token-7", "SCOPE_MISSING")
    assert "\n" not in second.getMessage()
    for part in forged.split("."):
        assert part not in repr([vars(record) for record in records])


async def test_keys_are_read_again_when_their_file_changes_and_broken_ones_change_nothing(tmp_path: Path) -> None:
    path, first, second = tmp_path / "jwks.json", Signer(key_id="1"), Signer(key_id="2")
    path.write_text(jwks(first))
    verifier = TokenVerifier(keys.FileSource(path), audience="lookalike", issuer=None)
    old, new = first.token(sub="old"), second.token(sub="new")
    assert (await verifier.verify(old)).subject == "old"
    with pytest.raises(Unauthenticated):
        await verifier.verify(new)
    path.write_text("{}")
    with logged("lookalike_serving.security.keys") as records:
        for _ in range(2):
            assert (await verifier.verify(old)).subject == "old"
    assert [record.levelname for record in records] == ["ERROR"]
    path.unlink()
    assert (await verifier.verify(old)).subject == "old"
    path.write_text(jwks(second))
    assert (await verifier.verify(new)).subject == "new"
    with pytest.raises(Unauthenticated):  # although it was remembered
        await verifier.verify(old)


class Login(HTTPServer):
    """Serves keys, while there are any in `text`."""

    text: str | None = None
    asked = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/jwks"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        login = self.server
        assert isinstance(login, Login)
        login.asked += 1
        self.send_response(200 if login.text else 503)
        self.end_headers()
        self.wfile.write((login.text or "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def login() -> Iterator[Login]:
    with Login() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_keys_come_from_a_url_and_those_had_last_are_kept_while_it_is_away(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Signer(key_id="1"), Signer(key_id="2")
    monkeypatch.setattr(keys, "_RETRY_SECONDS", 0)
    async with (
        serving(Security(jwks_url=login.url)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = EmbedderServiceStub(channel)
        assert (await refused(stub, bearer(first.token()))).reason == "KEYS_UNAVAILABLE"
        login.text = jwks(first)
        await stub.GetModel(wire.GetModelRequest(), metadata=bearer(first.token()))
        login.text = None
        assert (await refused(stub, bearer(second.token()))).reason == "TOKEN_INVALID"
        await stub.GetModel(wire.GetModelRequest(), metadata=bearer(first.token(sub="kept")))
        login.text = jwks(second)
        await stub.GetModel(wire.GetModelRequest(), metadata=bearer(second.token()))
        monkeypatch.setattr(keys, "_RETRY_SECONDS", 60)
        asked = login.asked
        for name in "3", "4":  # whoever makes up names does not make us ask each time
            assert (await refused(stub, bearer(Signer(key_id=name).token()))).reason == "TOKEN_INVALID"
        assert login.asked == asked


async def test_while_keys_are_asked_for_again_those_there_are_count(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, login.text = keys.UrlSource(login.url), jwks(Signer(key_id="1"))
    assert await source.keys()
    monkeypatch.setattr(keys, "_REFRESH_SECONDS", 0)
    login.text = jwks(Signer(key_id="2"))
    before = await source.keys()
    assert before
    assert before.find("1")
    assert source._refreshing
    await source._refreshing
    monkeypatch.setattr(keys, "_REFRESH_SECONDS", 60)
    after = await source.keys()
    assert after
    assert after.find("2")


async def test_a_url_that_breaks_off_changes_nothing(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(self: Answer) -> None:
        """Reset the connection, as whoever is killed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    source, login.text = keys.UrlSource(login.url), jwks(Signer(key_id="1"))
    assert await source.keys()
    monkeypatch.setattr(keys, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(Answer, "do_GET", hang_up)
    with logged("lookalike_serving.security.keys") as records:
        kept = await source.keys(refresh=True)
    assert kept
    assert kept.find("1")
    assert [record.levelname for record in records] == ["ERROR"]


async def test_a_url_serves_no_secrets(login: Login) -> None:
    login.text = json.dumps({"keys": [{"kty": "oct", "kid": "shared", "k": SECRET}]})
    assert await keys.UrlSource(login.url).keys() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}', '{"keys": [{}]}'])
def test_a_file_without_a_key_of_use_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(InvalidSecurity, match=r"--jwks .*jwks\.json"):
        factory.guard(Security(jwks=path))


@pytest.mark.parametrize("url", ["http://login.example/keys", "file:///etc/passwd", "keys.json"])
def test_keys_come_only_over_connections_that_keep_them_genuine(url: str) -> None:
    with pytest.raises(InvalidSecurity, match="https://"):
        factory.guard(Security(jwks_url=url))


async def test_the_client_sends_its_token_and_reads_it_anew_when_it_is_replaced(
    server: Server, signer: Signer, tmp_path: Path
) -> None:
    address, path = f"127.0.0.1:{server.port}", tmp_path / "token"
    async with Client(address, address, credentials=Credentials(token_file=path)) as client:
        with pytest.raises(errors.PreconditionError, match="No such file"):
            await client.model()
        path.write_text(good(signer, sub="first") + "\n")
        assert (await client.model()).space == "first"
        path.write_text(good(signer, sub="second"))
        assert (await client.model()).space == "second"
    async with Client(address, address) as client:
        with pytest.raises(errors.UnauthenticatedError):
            await client.model()


async def test_a_token_does_not_leave_the_machine_in_the_clear_unless_it_is_asked_to(signer: Signer) -> None:
    credentials = Credentials(token=signer.token())
    assert signer.token() not in repr(credentials)
    async with Client("shop.invalid:1", "shop.invalid:1", credentials=credentials) as client:
        with pytest.raises(errors.PreconditionError) as caught:
            await client.model()
    assert caught.value.reason == "UNUSABLE_CREDENTIALS"
    asked = Credentials(token=signer.token(), plaintext_token=True)
    async with Client("shop.invalid:1", "shop.invalid:1", credentials=asked, timeout=0.2) as client:
        with pytest.raises(LookalikeError) as failed:
            await client.model()
    assert failed.value.reason != "UNUSABLE_CREDENTIALS"
