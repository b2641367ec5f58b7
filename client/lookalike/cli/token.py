"""Implement `lookalike token`, which makes keys and signed tokens, for operators without a login service."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lookalike import atomic_file
from lookalike.cli.common import run
from lookalike.constants import ADMIN, AUDIENCE, READ, SCOPES, WRITE
from lookalike.processes import require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

app = typer.Typer(no_args_is_help=True, help="Make keys and tokens for servers that run with --jwks.")

_DAY_SECONDS: Final = 24 * 60 * 60
_EXTRAS: Final = "`searcher`, `embedder` or `http`"


@app.command()
def key(
    private: Annotated[Path, typer.Argument(help="File for the private key, in PEM. It must not exist yet.")],
    jwks: Annotated[
        Path, typer.Argument(help="File for the public key. If it has keys already, the new one is added.")
    ],
) -> None:
    """Make a key pair (Ed25519). The private key signs tokens. The public key is for the servers' option --jwks."""

    async def work() -> None:
        require("jwt", "cryptography", extras=_EXTRAS)
        import jwt
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        atomic_file.check(jwks)
        present_keys = json.loads(jwks.read_text())["keys"] if jwks.exists() else []
        private_key = Ed25519PrivateKey.generate()
        pem = private_key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        _write_secret(private, pem)
        public = jwt.algorithms.OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        keys = [*present_keys, {**public, "kid": _key_id(private_key), "use": "sig", "alg": "EdDSA"}]
        atomic_file.write(jwks, json.dumps({"keys": keys}, indent=2) + "\n")
        typer.echo(f"{private}: keep it secret; it signs tokens\n{jwks}: {len(keys)} public, for --jwks")

    run(work())


@app.command()
def sign(
    private: Annotated[Path, typer.Argument(help="File with the private key.")],
    subject: Annotated[str, typer.Argument(help="Name of the caller, for audit logs and the rate limit.")],
    scope: Annotated[list[str], typer.Option(help=f"{READ}, {WRITE} or {ADMIN}. Can be repeated.")],
    project: Annotated[
        list[str] | None, typer.Option(help="A project's name, or the beginning of names and *. Can be repeated.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.001, max=3650, help="Days until the token expires.")] = 30,
    rate: Annotated[float, typer.Option(min=0, help="The most requests a second; 0: the server's limit.")] = 0,
    audience: Annotated[str, typer.Option(help="The audience, as in the servers' option --token-audience.")] = AUDIENCE,
) -> None:
    """Sign a token with a private key, and print it."""
    if unknown := set(scope) - SCOPES:
        raise typer.BadParameter(f"there is no scope {', '.join(sorted(unknown))}", param_hint="--scope")

    async def work() -> None:
        require("jwt", "cryptography", extras=_EXTRAS)
        import jwt
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        loaded: Any = load_pem_private_key(private.read_bytes(), None)
        now = int(time.time())
        claims = {
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + round(days * _DAY_SECONDS),
            "jti": os.urandom(8).hex(),
            "scope": " ".join(scope),
            "projects": project or [],
            "rate": rate,
        }
        typer.echo(jwt.encode(claims, loaded, "EdDSA", {"kid": _key_id(loaded)}))

    run(work())


def _write_secret(path: Path, secret: bytes) -> None:
    """Write a new file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(secret)


def _key_id(private: "Ed25519PrivateKey") -> str:
    """Return the key's id in tokens and key sets; it is a digest of the public key, so it need not be stored."""
    return hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()[:16]
