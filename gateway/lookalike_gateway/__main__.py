"""The gateway's process, which `lookalike http` starts: the HTTP/JSON API and the page."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    EXIT_COULD_NOT_RUN,
    Embedder,
    Searcher,
    Timeout,
    console,
    print_failure,
    run,
)
from lookalike.constants import AUDIENCE, MAX_IMAGE_BYTES
from lookalike.credentials import Credentials
from lookalike.processes import require
from lookalike.signals import until_signalled
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.security.flags import AuditLog, Jwks, JwksUrl, TokenAudience, TokenIssuer

Host = Annotated[str, typer.Option(envvar="LOOKALIKE_HTTP_HOST", help="Interface to listen on.")]
Port = Annotated[
    int, typer.Option(envvar="LOOKALIKE_HTTP_PORT", min=0, max=65535, help="Port to listen on; 0 picks a free one.")
]
PhotosRoot = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="LOOKALIKE_PHOTOS_ROOT",
        exists=True,
        file_okay=False,
        help="Folder below which indexed files may be shown as thumbnails; may be repeated.",
    ),
]
CorsOrigin = Annotated[
    list[str] | None,
    typer.Option(
        envvar="LOOKALIKE_HTTP_CORS_ORIGIN",
        help="Origin whose pages may call the API, for example https://shop.example; may be repeated.",
    ),
]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        envvar="LOOKALIKE_HTTP_ALLOWED_HOST",
        help="Name that requests may be addressed to; may be repeated; on loopback this machine's own, else any.",
    ),
]
MaxUpload = Annotated[
    int,
    typer.Option(
        envvar="LOOKALIKE_HTTP_MAX_UPLOAD_BYTES", min=1, max=MAX_IMAGE_BYTES, help="Bytes of the largest photo."
    ),
]
MaxUploads = Annotated[
    int,
    typer.Option(
        envvar="LOOKALIKE_HTTP_MAX_UPLOADS", min=1, help="Photos that are embedded at once; room is for so many."
    ),
]
BodyTimeout = Annotated[
    float,
    typer.Option(
        envvar="LOOKALIKE_HTTP_BODY_TIMEOUT",
        min=0.1,
        help="Seconds in which a request's head, and then its body, must have come.",
    ),
]
IdleTimeout = Annotated[
    float,
    typer.Option(
        envvar="LOOKALIKE_HTTP_IDLE_TIMEOUT",
        min=0.1,
        help="Seconds that a connection is kept for a further request; longer than a balancer keeps it.",
    ),
]
MaxConnections = Annotated[
    int, typer.Option(envvar="LOOKALIKE_HTTP_MAX_CONNECTIONS", min=1, help="Connections at once.")
]
MaxConnectionsPerAddress = Annotated[
    int,
    typer.Option(
        envvar="LOOKALIKE_HTTP_MAX_CONNECTIONS_PER_ADDRESS",
        min=0,
        help="Connections at once from one address; 0 for any number: behind a proxy all come from its address.",
    ),
]
Grace = Annotated[
    float, typer.Option(envvar="LOOKALIKE_HTTP_GRACE", min=1, help="Seconds for requests to end after SIGTERM.")
]
TlsCert = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_HTTP_TLS_CERT", help="Its certificate, in PEM; read again when it changes."),
]
TlsKey = Annotated[Path | None, typer.Option(envvar="LOOKALIKE_HTTP_TLS_KEY", help="Its private key, in PEM.")]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(envvar="LOOKALIKE_HTTP_TLS_CLIENT_CA", help="Authority whose certificates clients must show, in PEM."),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        envvar="LOOKALIKE_HTTP_INSECURE",
        help="Listen beyond this machine although anybody there may then search, and switch projects off.",
    ),
]
LogLevel = Annotated[str, typer.Option(envvar="LOOKALIKE_LOG_LEVEL", help="Least level logged.")]
LogFormat = Annotated[str, typer.Option(envvar="LOOKALIKE_LOG_FORMAT", help="text or json.")]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def http(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    photos_root: PhotosRoot = None,
    cors_origin: CorsOrigin = None,
    allowed_host: AllowedHost = None,
    max_upload_bytes: MaxUpload = MAX_IMAGE_BYTES,
    max_uploads: MaxUploads = 32,
    body_timeout: BodyTimeout = 30,
    idle_timeout: IdleTimeout = 75,
    max_connections: MaxConnections = 1000,
    max_connections_per_address: MaxConnectionsPerAddress = 256,
    grace: Grace = 20,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    jwks: Jwks = None,
    jwks_url: JwksUrl = None,
    token_audience: TokenAudience = AUDIENCE,
    token_issuer: TokenIssuer = None,
    insecure: Insecure = False,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
    audit_log: AuditLog = None,
    log_level: LogLevel = "INFO",
    log_format: LogFormat = "text",
) -> None:
    """Serve the HTTP/JSON API and the page until Ctrl-C or SIGTERM. It holds no state: run as many as you like."""
    require("starlette", "uvicorn", "PIL", extras="`http`")
    import uvloop

    from lookalike_gateway.config import LOOPBACK, Config
    from lookalike_gateway.server import serving
    from lookalike_serving import logs, tracing

    security = Security(tls_cert, tls_key, tls_client_ca, jwks, jwks_url or None, token_audience, token_issuer or None)
    config = Config(
        embedder=embedder,
        searcher=searcher,
        host=host,
        port=port,
        timeout=timeout,
        photos_roots=tuple(photos_root or ()),
        cors_origins=tuple(cors_origin or ()),
        allowed_hosts=tuple(allowed_host or (LOOPBACK if host in LOOPBACK else ())),
        max_upload_bytes=max_upload_bytes,
        max_uploads=max_uploads,
        body_timeout=body_timeout,
        idle_timeout=idle_timeout,
        max_connections=max_connections,
        max_connections_per_address=max_connections_per_address,
        grace=grace,
        credentials=replace(Credentials.from_env(), token="", token_file=None),  # a token of ours is nobody else's
        security=security,
    )

    async def work() -> None:
        logs.configure(log_level.upper(), log_format, audit_log)
        async with serving(config) as address:
            console.print(f"lookalike http ready on {address}", soft_wrap=True)
            await until_signalled()
        console.print("stopped")

    try:
        security.check(host, insecure=insecure)
        with ExitStack() as stack:
            try:
                stack.enter_context(tracing.exporting("lookalike-http"))
            except RuntimeError as error:  # spans cannot be sent
                print_failure(str(error))
                raise SystemExit(EXIT_COULD_NOT_RUN) from error
            run(work(), loop_factory=uvloop.new_event_loop)
    except InvalidSecurity as error:
        raise typer.BadParameter(str(error)) from error


def main() -> None:
    """Run the gateway under the name by which it is started."""
    app(prog_name="lookalike http")


if __name__ == "__main__":
    main()
