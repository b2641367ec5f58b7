"""These settings say how a server is secured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lookalike._transport.loopback import is_loopback
from lookalike.constants import AUDIENCE
from lookalike_serving.options import Option


class InvalidSecurity(Exception):
    """The settings would not protect, or files cannot be used. The message says what to do."""


@dataclass(frozen=True)
class TlsFiles:
    """These files, in PEM, are what a server encrypts connections with.

    Attributes:
        certificate: the server's, with those between it and its authority.
        key: its private key, without a password.
        client_ca: the authorities whose certificates clients must show; None: they need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __str__(self) -> str:
        """As it is named in the log."""
        return f"certificate {self.certificate}, key {self.key}" + f", client CA {self.client_ca}" * bool(
            self.client_ca
        )


@dataclass(frozen=True)
class Security:
    """These settings say who is let in, and how connections are encrypted."""

    tls_cert: Annotated[
        Path | None, Option("The server's certificate, in PEM; read again when it changes.", shared=True)
    ] = None
    tls_key: Annotated[Path | None, Option("Its private key, in PEM.", shared=True)] = None
    tls_client_ca: Annotated[
        Path | None, Option("Authority whose certificates clients must show, in PEM.", shared=True)
    ] = None
    jwks: Annotated[
        Path | None, Option("File with the keys (JWKS) that verify tokens; read when it changes.", shared=True)
    ] = None
    jwks_url: Annotated[str | None, Option("Where these keys are served, instead.", shared=True)] = None
    audience: Annotated[str, Option("What a token's `aud` must name.", name="token_audience", shared=True)] = AUDIENCE
    issuer: Annotated[
        str | None, Option("What a token's `iss` must be; left out, anything.", name="token_issuer", shared=True)
    ] = None
    rate: Annotated[
        float,
        Option("Requests a second of a token that does not say; 0: any.", name="token_rate", shared=True, min=0),
    ] = 0.0
    insecure: Annotated[bool, Option("Listen beyond this machine, and let in anybody.")] = False

    @property
    def tls(self) -> TlsFiles | None:
        """Return the files, or None if connections are not encrypted. Raises InvalidSecurity."""
        if self.tls_cert and self.tls_key:
            return TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca)
        if self.tls_cert or self.tls_key or self.tls_client_ca:
            raise InvalidSecurity("--tls-cert and --tls-key belong together, and --tls-client-ca needs both")
        return None

    @property
    def by_token(self) -> bool:
        """Say whether callers must show a token. Raises InvalidSecurity."""
        if self.jwks and self.jwks_url:
            raise InvalidSecurity("--jwks and --jwks-url: only one of them")
        return bool(self.jwks or self.jwks_url)

    def check(self, host: str) -> None:
        """Check that a program may listen there.

        Args:
            host: the interface.

        Raises:
            InvalidSecurity: it may not.
        """
        tls, by_token = self.tls, self.by_token
        if is_loopback(host) or self.insecure or by_token or (tls and tls.client_ca):
            return
        raise InvalidSecurity(
            f"--host {host}: whoever reaches it would be let in. Say whom to trust by --jwks, --jwks-url or"
            " --tls-client-ca, or, to let in anybody all the same, add --insecure"
        )
