"""Hold what the client shows the servers, and whom it believes to be them."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from lookalike.errors import PreconditionError


@dataclass(frozen=True)
class Credentials:
    """Credentials say how a client reaches servers that are not open to everybody. Without any it is unknown to them.

    Attributes:
        tls: encrypt connections, and believe the authorities that gRPC knows; implied by `ca` and `certificate`.
        ca: a file with the authorities that are believed instead, in PEM.
        certificate: a file with a certificate of our own, in PEM, for servers that ask for one; needs `key`.
        key: a file with its private key, in PEM.
        token: a bearer token.
        token_file: a file that holds it instead, and is read for each call: it may be replaced before it expires.
        plaintext_token: send the token over connections that are not encrypted, also to other machines: where
            something below us encrypts them.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    plaintext_token: bool = False

    @classmethod
    def from_env(cls) -> Self:
        """Read LOOKALIKE_TLS, _TLS_CA, _TLS_CLIENT_CERT, _TLS_CLIENT_KEY, _TOKEN, _TOKEN_FILE, _PLAINTEXT_TOKEN."""
        return cls(
            tls=_flag("TLS"),
            ca=_path("TLS_CA"),
            certificate=_path("TLS_CLIENT_CERT"),
            key=_path("TLS_CLIENT_KEY"),
            token=_text("TOKEN"),
            token_file=_path("TOKEN_FILE"),
            plaintext_token=_flag("PLAINTEXT_TOKEN"),
        )

    @property
    def encrypted(self) -> bool:
        """Say whether connections are encrypted."""
        return bool(self.tls or self.ca or self.certificate)

    def for_channel(self) -> grpc.ChannelCredentials | None:
        """Return the credentials for `secure_channel`; None: connections are not encrypted.

        Raises:
            PreconditionError: a file cannot be read, or a certificate has no key, or a key no certificate.
        """
        if bool(self.certificate) != bool(self.key):
            raise unusable("LOOKALIKE_TLS_CLIENT_CERT and LOOKALIKE_TLS_CLIENT_KEY belong together")
        if not self.encrypted:
            return None
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))

    def bearer(self) -> str:
        """Return the token as it is now; empty: there is none. Raises PreconditionError."""
        return self.token or (_read(self.token_file) or b"").decode(errors="replace").strip()


def _text(name: str) -> str:
    return os.environ.get(f"LOOKALIKE_{name}", "").strip()


def _flag(name: str) -> bool:
    return _text(name).lower() in ("1", "true", "yes", "on")


def _path(name: str) -> Path | None:
    return Path(path) if (path := _text(name)) else None


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise unusable(f"{path}: {error.strerror}") from error


def unusable(message: str) -> PreconditionError:
    """The credentials cannot be used, or not here; nothing was sent."""
    return PreconditionError(message, reason="UNUSABLE_CREDENTIALS", code=grpc.StatusCode.FAILED_PRECONDITION)
