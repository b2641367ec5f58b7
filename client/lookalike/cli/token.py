"""`lookalike token`: tokens for whoever has no login service: a key pair, and what it signs."""

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

app = typer.Typer(no_args_is_help=True, help="Make keys and tokens, for servers that are started with --jwks.")

_DAY_SECONDS: Final = 24 * 60 * 60
_EXTRAS: Final = "`searcher`, `embedder` or `http`"


@app.command()
def key(
    private: Annotated[Path, typer.Argument(help="File for the private key, in PEM. It must not exist yet.")],
    jwks: Annotated[Path, typer.Argument(help="File for the public key; added, if there are keys in it.")],
) -> None:
    """Make a key pair (Ed25519). The private key signs tokens, the public one is for the servers' --jwks."""

    async def work() -> None:
        require("jwt", "cryptography", extras=_EXTRAS)
        import jwt
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        atomic_file.check(jwks)
        known = json.loads(jwks.read_text())["keys"] if jwks.exists() else []
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        _keep(private, pem)
        public = jwt.algorithms.OKPAlgorithm.to_jwk(made.public_key(), as_dict=True)
        keys = [*known, {**public, "kid": _name_of(made), "use": "sig", "alg": "EdDSA"}]
        atomic_file.write(jwks, json.dumps({"keys": keys}, indent=2) + "\n")
        typer.echo(f"{private}: keep it secret; it signs tokens\n{jwks}: {len(keys)} public, for --jwks")

    run(work())


@app.command()
def sign(
    private: Annotated[Path, typer.Argument(help="File with the private key.")],
    subject: Annotated[str, typer.Argument(help="Whom the token names, in audit logs and for its rate.")],
    scope: Annotated[list[str], typer.Option(help=f"{READ}, {WRITE} or {ADMIN}; may be repeated.")],
    project: Annotated[
        list[str] | None, typer.Option(help="A project, or the beginning of names and *; may be repeated.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.001, max=3650, help="Days until it expires.")] = 30,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second; 0: the server's own limit.")] = 0,
    audience: Annotated[str, typer.Option(help="The servers' --token-audience.")] = AUDIENCE,
) -> None:
    """Print a token."""
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
        typer.echo(jwt.encode(claims, loaded, "EdDSA", {"kid": _name_of(loaded)}))

    run(work())


def _keep(path: Path, secret: bytes) -> None:
    """Write a new file that nobody else can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(secret)


def _name_of(private: "Ed25519PrivateKey") -> str:
    """The key's id in tokens and key sets: a digest, so that it need not be kept."""
    return hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()[:16]
