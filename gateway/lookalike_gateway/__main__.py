"""Run the gateway's process, which `lookalike http` starts: the HTTP/JSON API and the page."""

from contextlib import ExitStack
from dataclasses import replace

import typer

from lookalike.cli.common import EXIT_COULD_NOT_RUN, console, print_failure, run
from lookalike.credentials import Credentials
from lookalike.processes import require
from lookalike.signals import until_signalled
from lookalike_gateway.config import Config
from lookalike_serving.options import configured
from lookalike_serving.security.config import InvalidSecurity

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@configured(Config, "LOOKALIKE_HTTP_", own=("tls_cert", "tls_key", "tls_client_ca"), without=("token_rate",))
def http(_: typer.Context, config: Config) -> None:
    """Serve the HTTP/JSON API and the page until Ctrl-C or SIGTERM. It holds no state: run as many as you like."""
    require("fastapi", "uvicorn", "PIL", extras="`http`")
    import uvloop

    from lookalike_gateway.metrics import Metrics
    from lookalike_gateway.server import serving
    from lookalike_serving import logs, tracing
    from lookalike_serving.metrics_endpoint import metrics_served

    credentials = replace(Credentials.from_env(), token="", token_file=None)  # a token of ours is nobody else's

    async def work() -> None:
        logs.configure(config.log_level, config.log_format, config.audit_log)
        metrics = Metrics()
        with metrics_served(config.metrics_address, metrics.registry) as port:
            async with serving(replace(config, credentials=credentials), metrics) as address:
                console.print(f"lookalike http ready on {address} (metrics on port {port})", soft_wrap=True)
                await until_signalled()
        console.print("stopped")

    try:
        config.security.check(config.host)
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
