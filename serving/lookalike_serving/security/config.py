"""How a program is secured."""

from dataclasses import dataclass
from pathlib import Path

from lookalike._transport.loopback import is_loopback
from lookalike.constants import AUDIENCE


class InvalidSecurity(Exception):
    """Settings that would not protect, or files that cannot be used. The message says what to do."""


@dataclass(frozen=True)
class TlsFiles:
    """Files in PEM.

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
    """All of it; read from flags and environment in `__main__` alone.

    Attributes:
        tls_cert, tls_key, tls_client_ca: see `TlsFiles`; the first two belong together.
        jwks: a file with the keys that verify tokens.
        jwks_url: where they are served, instead.
        audience: what a token's `aud` must name.
        issuer: what its `iss` must be; None: anything.
        rate: requests a second of a caller whose token does not say; 0: any number.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    jwks: Path | None = None
    jwks_url: str | None = None
    audience: str = AUDIENCE
    issuer: str | None = None
    rate: float = 0.0

    @property
    def tls(self) -> TlsFiles | None:
        """The files, if connections are to be encrypted. Raises InvalidSecurity."""
        if self.tls_cert and self.tls_key:
            return TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca)
        if self.tls_cert or self.tls_key or self.tls_client_ca:
            raise InvalidSecurity("--tls-cert and --tls-key belong together, and --tls-client-ca needs both")
        return None

    @property
    def by_token(self) -> bool:
        """Whether callers have to show a token. Raises InvalidSecurity."""
        if self.jwks and self.jwks_url:
            raise InvalidSecurity("--jwks and --jwks-url: only one of them")
        return bool(self.jwks or self.jwks_url)

    def check(self, host: str, *, insecure: bool) -> None:
        """Check that a program may listen there.

        Args:
            host: the interface.
            insecure: whether anybody may be let in.

        Raises:
            InvalidSecurity: it may not.
        """
        tls, by_token = self.tls, self.by_token
        if is_loopback(host) or insecure or by_token or (tls and tls.client_ca):
            return
        raise InvalidSecurity(
            f"--host {host}: whoever reaches it would be let in. Say whom to trust by --jwks, --jwks-url or"
            " --tls-client-ca, or, to let in anybody all the same, add --insecure"
        )
