"""Odd certificates and old protocols, as somebody would bring them who has no right to come in."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lookalike import Credentials
from lookalike_serving.security import factory
from lookalike_serving.security.config import InvalidSecurity, Security
from tests.integration.test_tls import alive, failure, gateway, security, subject
from tests.integration.test_tokens import serving
from tests.signing import files_in

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates that trustme would not."""

    def __init__(self, name: str = "ours") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._made(self.name, self.key, ca=True).sign(self.key, hashes.SHA256())

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def client(
        self,
        folder: Path,
        *,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
        since: datetime.datetime = NOW - DAY,
        until: datetime.datetime = NOW + DAY,
        named: bool = True,
        self_signed: bool = False,
        ca: bool = False,
    ) -> Credentials:
        """A client's certificate, believing the server's authority in `server.pem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "indexer")])
        builder = self._made(name, key, since=since, until=until, ca=ca, issuer=name if self_signed else self.name)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if named:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("indexer.example")]), False)
        made = builder.sign(key if self_signed else self.key, hashes.SHA256())
        certificate, private = folder / "client.pem", folder / "client.key"
        certificate.write_bytes(made.public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Credentials(ca=folder / "server.pem", certificate=certificate, key=private)

    def _made(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        since: datetime.datetime = NOW - DAY,
        until: datetime.datetime = NOW + DAY,
        ca: bool = False,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer or self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )


CASES: dict[str, Callable[[Authority, Path], Credentials]] = {
    "good": lambda ours, folder: ours.client(folder),
    "a common name alone": lambda ours, folder: ours.client(folder, named=False),
    "no usage": lambda ours, folder: ours.client(folder, usage=None),
    "expired": lambda ours, folder: ours.client(folder, since=NOW - 9 * DAY, until=NOW - DAY),
    "not valid yet": lambda ours, folder: ours.client(folder, since=NOW + DAY, until=NOW + 9 * DAY),
    "a server's": lambda ours, folder: ours.client(folder, usage=ExtendedKeyUsageOID.SERVER_AUTH),
    "for signing code": lambda ours, folder: ours.client(folder, usage=ExtendedKeyUsageOID.CODE_SIGNING),
    "signed by itself": lambda ours, folder: ours.client(folder, self_signed=True),
    "of another authority of the same name": lambda _, folder: Authority().client(folder),
}
LET_IN = {"good", "a common name alone", "no usage"}


@pytest.fixture(scope="module")
def servers() -> trustme.CA:
    """Who issues what servers show."""
    return trustme.CA()


def mutual(folder: Path, servers: trustme.CA, client_ca: bytes) -> Security:
    servers.cert_pem.write_to_path(folder / "server.pem")
    files = files_in(folder, servers.issue_cert("127.0.0.1"), servers)
    assert files.client_ca
    files.client_ca.write_bytes(client_ca)
    return Security(files.certificate, files.key, files.client_ca)


@pytest.mark.parametrize("case", CASES)
async def test_which_clients_certificates_count(case: str, servers: trustme.CA, tmp_path: Path) -> None:
    """At both kinds of server the same."""
    ours = Authority()
    settings = mutual(tmp_path, servers, ours.pem())
    credentials = CASES[case](ours, tmp_path)
    async with serving(settings) as server, gateway(settings) as url:
        if case in LET_IN:
            assert await subject(server, credentials) in ("indexer", "indexer.example")
            assert await alive(url, tmp_path / "server.pem", credentials) == 200
            return
        await failure(server, credentials, "a certificate of ours")
        with pytest.raises(httpx.TransportError):
            await alive(url, tmp_path / "server.pem", credentials)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_an_authority_that_is_none_is_refused_at_the_start(content: bytes, servers: trustme.CA, tmp_path: Path) -> None:
    """An empty file would let nobody in, or, read as no wish, everybody."""
    settings = mutual(tmp_path, servers, content)
    with pytest.raises(InvalidSecurity, match=r"client-ca\.pem"):
        factory.certificate(settings)


async def test_an_authority_that_becomes_empty_changes_nothing(servers: trustme.CA, tmp_path: Path) -> None:
    ours = Authority()
    settings = mutual(tmp_path, servers, ours.pem())
    credentials = ours.client(tmp_path)
    assert settings.tls_client_ca
    async with serving(settings) as server, gateway(settings) as url:
        settings.tls_client_ca.write_bytes(b"")
        assert await subject(server, credentials) in ("indexer", "indexer.example")
        await failure(server, Credentials(ca=tmp_path / "server.pem"), "a certificate of ours")
        assert await alive(url, tmp_path / "server.pem", credentials) == 200
        with pytest.raises(httpx.TransportError):
            await alive(url, tmp_path / "server.pem")


async def spoken(port: int, version: ssl.TLSVersion) -> str:
    """The protocol that a handshake of that version alone ends in; empty if it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = version

    def shake() -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            try:
                with context.wrap_socket(plain) as tls:
                    return tls.version() or ""
            except (ssl.SSLError, ConnectionError):
                return ""

    return await asyncio.to_thread(shake)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_the_least_protocol_is_tls_1_2(servers: trustme.CA, tmp_path: Path) -> None:
    settings = security(tmp_path, servers.issue_cert("127.0.0.1"))
    async with serving(settings) as server, gateway(settings) as url:
        for port in server.port, int(url.rpartition(":")[2]):
            assert await spoken(port, ssl.TLSVersion.TLSv1) == ""
            assert await spoken(port, ssl.TLSVersion.TLSv1_1) == ""
            assert await spoken(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
            assert await spoken(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


async def renegotiated(port: int) -> bytes:
    """What openssl's client says when it asks for a second handshake in a connection."""
    process = await asyncio.create_subprocess_exec(
        *(
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-tls1_2",
            "-alpn",
            "http/1.1,h2",
            "-legacy_renegotiation",
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin
    assert process.stdout
    said = b""
    while b"Verify return code" not in said:
        said += await process.stdout.read(4096) or b"Verify return code: it ended"
    process.stdin.write(b"R\n")
    await process.stdin.drain()
    async with asyncio.timeout(120):
        rest, _ = await process.communicate()
    return said + rest


async def test_a_second_handshake_in_a_connection_is_refused(servers: trustme.CA, tmp_path: Path) -> None:
    settings = security(tmp_path, servers.issue_cert("127.0.0.1"))
    async with serving(settings) as server, gateway(settings) as url:
        for port in server.port, int(url.rpartition(":")[2]):
            said = await renegotiated(port)
            assert b"RENEGOTIATING" in said
            refused = (b"no renegotiation", b"no_renegotiation", b"closed", b"unexpected eof")
            assert any(sign in said for sign in refused), said[-500:]
        assert await alive(url, _believed(tmp_path, servers)) == 200


def _believed(folder: Path, servers: trustme.CA) -> Path:
    servers.cert_pem.write_to_path(folder / "server.pem")
    return folder / "server.pem"
