"""The flags that both servers have, each with its variable."""

from pathlib import Path
from typing import Annotated

import typer

TlsCert = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_TLS_CERT", help="The server's certificate, in PEM; read again when it changes."),
]
TlsKey = Annotated[Path | None, typer.Option(envvar="LOOKALIKE_TLS_KEY", help="Its private key, in PEM.")]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_TLS_CLIENT_CA", help="Authority whose certificates clients must show, in PEM."),
]
Jwks = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_JWKS", help="File with the keys (JWKS) that verify tokens; read when it changes."),
]
JwksUrl = Annotated[str | None, typer.Option(envvar="LOOKALIKE_JWKS_URL", help="Where these keys are served, instead.")]
TokenAudience = Annotated[str, typer.Option(envvar="LOOKALIKE_TOKEN_AUDIENCE", help="What a token's `aud` must name.")]
TokenIssuer = Annotated[
    str | None, typer.Option(envvar="LOOKALIKE_TOKEN_ISSUER", help="What a token's `iss` must be; left out, anything.")
]
TokenRate = Annotated[
    float,
    typer.Option(envvar="LOOKALIKE_TOKEN_RATE", min=0, help="Requests a second of a token that does not say; 0: any."),
]
AuditLog = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_AUDIT_LOG", help="File for the audit log, in JSON lines; left out, the log."),
]
