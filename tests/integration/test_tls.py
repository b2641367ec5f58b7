"""Certificates, over real sockets: of servers and of clients, good and bad, and replaced while the server runs."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from lookalike import Client, Credentials, UnavailableError
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike_gateway.config import Config as HttpConfig
from lookalike_gateway.server import serving as http_serving
from lookalike_serving.security import factory
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.server import Server
from tests.command_line import CommandLine, Done
from tests.integration.test_tokens import logged, serving
from tests.signing import Signer, bearer, files_in, jwks, write

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def foreign() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, ours: trustme.CA, foreign: trustme.CA) -> Path:
    """With the authorities' certificates, `ours.pem` and `foreign.pem`."""
    ours.cert_pem.write_to_path(tmp_path / "ours.pem")
    foreign.cert_pem.write_to_path(tmp_path / "foreign.pem")
    return tmp_path


def security(folder: Path, certificate: trustme.LeafCert, client_ca: trustme.CA | None = None) -> Security:
    files = files_in(folder, certificate, client_ca)
    return Security(files.certificate, files.key, files.client_ca)


def own(folder: Path, authority: trustme.CA, name: str = "indexer") -> Credentials:
    """A client's certificate, and the authority that it believes."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued = authority.issue_cert(f"{name}@shop.example", common_name=name)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return Credentials(ca=folder / "ours.pem", certificate=certificate, key=key)


async def subject(server: Server, credentials: Credentials) -> str:
    """Whom the server takes us for, over a connection of its own."""
    address = f"127.0.0.1:{server.port}"
    async with Client(address, address, credentials=credentials, timeout=10) as client:
        return (await client.model()).space


async def failure(server: Server, credentials: Credentials, told: str) -> UnavailableError:
    """How no connection comes about, by a call that is not tried again."""
    address = f"127.0.0.1:{server.port}"
    async with Client(address, address, credentials=credentials, timeout=10) as client:
        with pytest.raises(UnavailableError, match=f"the searcher at {address}: .*{told}") as caught:
            await client.create_project("shop", space="any")
    return caught.value


async def test_a_server_with_a_certificate_of_our_authority_is_believed(folder: Path, ours: trustme.CA) -> None:
    async with serving(security(folder, ours.issue_cert("127.0.0.1"))) as server:
        assert await subject(server, Credentials(ca=folder / "ours.pem")) == ""


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("of another authority", "not of an authority that we believe"),
        ("expired", "has expired"),
        ("for another name", "for another name"),
    ],
)
async def test_a_server_with_a_bad_certificate_is_not_believed_and_the_message_says_why(
    folder: Path, ours: trustme.CA, foreign: trustme.CA, case: str, told: str
) -> None:
    certificate = {
        "of another authority": lambda: foreign.issue_cert("127.0.0.1"),
        "expired": lambda: ours.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021)),
        "for another name": lambda: ours.issue_cert("elsewhere.example"),
    }[case]()
    async with serving(security(folder, certificate)) as server:
        assert (await failure(server, Credentials(ca=folder / "ours.pem"), told)).reason == "TLS_FAILED"


async def test_tls_on_one_side_alone_is_told(folder: Path, ours: trustme.CA) -> None:
    async with serving(security(folder, ours.issue_cert("127.0.0.1"))) as server:
        await failure(server, Credentials(), "it may want TLS")
    async with serving(Security()) as server:
        await failure(server, Credentials(ca=folder / "ours.pem"), "does not speak TLS")


async def test_a_clients_certificate_is_asked_for_and_names_it(
    folder: Path, ours: trustme.CA, foreign: trustme.CA
) -> None:
    async with serving(security(folder, ours.issue_cert("127.0.0.1"), ours)) as server:
        assert await subject(server, own(folder, ours)) == "indexer"
        for credentials in Credentials(ca=folder / "ours.pem"), own(folder, foreign, "stranger"):
            await failure(server, credentials, "a certificate of ours")


async def test_with_both_a_certificate_does_not_replace_a_token(folder: Path, ours: trustme.CA) -> None:
    signer, path = Signer(), folder / "jwks.json"
    path.write_text(jwks(signer))
    files = files_in(folder, ours.issue_cert("127.0.0.1"), ours)
    mine = own(folder, ours)
    channel_credentials = mine.for_channel()
    assert channel_credentials
    async with (
        serving(Security(files.certificate, files.key, files.client_ca, jwks=path)) as server,
        grpc.aio.secure_channel(f"127.0.0.1:{server.port}", channel_credentials) as channel,
    ):
        stub = EmbedderServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(wire.GetModelRequest())
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answer = await stub.GetModel(wire.GetModelRequest(), metadata=bearer(signer.token(sub="by token")))
        assert answer.space == "by token"


async def test_a_new_certificate_is_shown_to_who_connects_next_and_a_broken_one_to_nobody(
    folder: Path, ours: trustme.CA, foreign: trustme.CA
) -> None:
    settings = security(folder, ours.issue_cert("127.0.0.1"))
    files = settings.tls
    assert files
    believing = {name: Credentials(ca=folder / f"{name}.pem") for name in ("ours", "foreign")}
    async with serving(settings) as server:
        await subject(server, believing["ours"])
        write(files, foreign.issue_cert("127.0.0.1"))
        await subject(server, believing["foreign"])
        with logged("lookalike_serving.security.tls") as records:
            ours.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(files.certificate)  # but the key is another's
            await subject(server, believing["foreign"])
            files.key.write_text("garbage")
            await subject(server, believing["foreign"])
            files.key.unlink()
            await subject(server, believing["foreign"])
            await subject(server, believing["foreign"])
        assert [record.levelno for record in records] == [logging.ERROR] * 3, "one for each trouble"
        assert "PRIVATE" not in repr([vars(record) for record in records])
        write(files, ours.issue_cert("127.0.0.1"))
        await subject(server, believing["ours"])


async def test_a_new_authority_of_clients_counts_from_the_next_connection_on(
    folder: Path, ours: trustme.CA, foreign: trustme.CA
) -> None:
    settings = security(folder, ours.issue_cert("127.0.0.1"), ours)
    async with serving(settings) as server:
        foreign.cert_pem.write_to_path(settings.tls_client_ca)
        assert await subject(server, own(folder, foreign, "newcomer")) == "newcomer"
        await failure(server, own(folder, ours), "a certificate of ours")


async def test_the_health_command_shows_the_clients_credentials_and_needs_no_token(
    folder: Path, ours: trustme.CA, commands: CommandLine
) -> None:
    (folder / "jwks.json").write_text(jwks(Signer()))
    settings = replace(security(folder, ours.issue_cert("127.0.0.1"), ours), jwks=folder / "jwks.json")
    mine = own(folder, ours)
    async with serving(settings) as server:
        ask, told = partial(commands.ask, "health", f"127.0.0.1:{server.port}"), {"LOOKALIKE_TLS_CA": str(mine.ca)}
        assert "UNAVAILABLE" in (await ask(environment=told)).errors
        told |= {"LOOKALIKE_TLS_CLIENT_CERT": str(mine.certificate), "LOOKALIKE_TLS_CLIENT_KEY": str(mine.key)}
        assert await ask(environment=told) == Done(0, "SERVING\n", "")


@pytest.mark.parametrize("missing", ["cert.pem", "key.pem"])
def test_a_server_does_not_start_without_its_files(folder: Path, ours: trustme.CA, missing: str) -> None:
    settings = security(folder, ours.issue_cert("127.0.0.1"))
    (folder / missing).unlink()
    with pytest.raises(InvalidSecurity, match=missing):
        factory.certificate(settings)


def test_half_of_the_files_is_not_taken_for_a_certificate(folder: Path, ours: trustme.CA) -> None:
    files = files_in(folder, ours.issue_cert("127.0.0.1"))
    for half in Security(files.certificate), Security(None, files.key), Security(tls_client_ca=files.certificate):
        with pytest.raises(InvalidSecurity, match="belong together"):
            replace(half, insecure=True).check("127.0.0.1")


@asynccontextmanager
async def gateway(settings: Security) -> AsyncIterator[str]:
    """The gateway, with servers that are not there; its address."""
    async with http_serving(
        HttpConfig(embedder="localhost:1", searcher="localhost:1", port=0, security=settings)
    ) as url:
        yield url.replace("127.0.0.1", "127.0.0.1")


async def alive(url: str, ca: Path, certificate: Credentials | None = None) -> int:
    context = ssl.create_default_context(cafile=ca)
    if certificate and certificate.certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    async with httpx.AsyncClient(verify=context, timeout=60) as client:
        return (await client.get(f"{url}/healthz")).status_code


async def test_the_face_speaks_https_with_the_newest_certificate(
    folder: Path, ours: trustme.CA, foreign: trustme.CA
) -> None:
    settings = security(folder, ours.issue_cert("127.0.0.1"))
    files = settings.tls
    assert files
    async with gateway(settings) as url:
        assert url.startswith("https://")
        assert await alive(url, folder / "ours.pem") == 200
        with pytest.raises(httpx.ConnectError):
            await alive(url, folder / "foreign.pem")
        write(files, foreign.issue_cert("127.0.0.1"))
        assert await alive(url, folder / "foreign.pem") == 200
        files.key.write_text("garbage")
        assert await alive(url, folder / "foreign.pem") == 200


async def test_the_face_asks_for_a_clients_certificate(folder: Path, ours: trustme.CA, foreign: trustme.CA) -> None:
    settings = security(folder, ours.issue_cert("127.0.0.1"), ours)
    async with gateway(settings) as url:
        assert await alive(url, folder / "ours.pem", own(folder, ours)) == 200
        for certificate in None, own(folder, foreign, "stranger"):
            with pytest.raises(httpx.TransportError):
                await alive(url, folder / "ours.pem", certificate)
        foreign.cert_pem.write_to_path(settings.tls_client_ca)
        assert await alive(url, folder / "ours.pem", own(folder, foreign, "newcomer")) == 200
        with pytest.raises(httpx.TransportError):
            await alive(url, folder / "ours.pem", own(folder, ours))
