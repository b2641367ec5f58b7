"""Who signs tokens and certificates in the tests."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lookalike.constants import AUDIENCE
from lookalike_serving.security.config import TlsFiles

RSA = rsa.generate_private_key(65537, 2048)
MAKE: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: RSA,  # to make one takes long
}


class Signer:
    """Has a key of its own, by the name `key_id`."""

    def __init__(self, algorithm: str = "EdDSA", key_id: str = "first") -> None:
        self.algorithm, self.key_id = algorithm, key_id
        self.private = MAKE[algorithm]()

    def jwk(self) -> dict[str, Any]:
        """The public key."""
        kind = {"ES": "ECAlgorithm", "Ed": "OKPAlgorithm", "RS": "RSAAlgorithm"}[self.algorithm[:2]]
        found: dict[str, Any] = getattr(jwt.algorithms, kind).to_jwk(self.private.public_key(), as_dict=True)
        return found | {"kid": self.key_id, "use": "sig"}

    def token(self, scope: str = "read write admin", projects: Any = ("*",), **claims: Any) -> str:  # noqa: ANN401
        """A token that is good for a minute, but for `claims`; one that is None is left out."""
        body = {
            "sub": "somebody",
            "aud": AUDIENCE,
            "exp": time.time() + 60,
            "scope": scope,
            "projects": list(projects) if isinstance(projects, tuple) else projects,
            **claims,
        }
        kept = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(kept, self.private, self.algorithm, {"kid": self.key_id})


def jwks(*signers: Signer) -> str:
    """Their public keys."""
    return json.dumps({"keys": [signer.jwk() for signer in signers]})


def bearer(token: str) -> list[tuple[str, str]]:
    """As a call's metadata."""
    return [("authorization", f"Bearer {token}")]


def write(files: TlsFiles, certificate: trustme.LeafCert) -> None:
    """Put a certificate where a server looks for its own."""
    certificate.private_key_pem.write_to_path(files.key)
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))


def files_in(folder: Path, certificate: trustme.LeafCert, client_ca: trustme.CA | None = None) -> TlsFiles:
    """The files of a server."""
    files = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "client-ca.pem" if client_ca else None)
    write(files, certificate)
    if client_ca and files.client_ca:
        client_ca.cert_pem.write_to_path(files.client_ca)
    return files
