"""Put the application together: routes, error handlers and middleware."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lookalike.client import Client
from lookalike.errors import LookalikeError
from lookalike_gateway import assets, docs, openapi, problems
from lookalike_gateway.auth import Door
from lookalike_gateway.config import Config
from lookalike_gateway.middleware import Surround
from lookalike_gateway.operations import OPERATIONS, Operation
from lookalike_gateway.parameter import read
from lookalike_gateway.problems import Refused
from lookalike_gateway.state import Face
from lookalike_gateway.thumbnail import Thumbnails
from lookalike_gateway.upload import Uploads
from lookalike_serving.errors import DomainError


def application(config: Config) -> Starlette:
    """Return the application, by the rules of ASGI. Its client is opened and closed with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with Client(
            config.embedder, config.searcher, timeout=config.timeout, credentials=config.credentials
        ) as client:
            app.state.face = Face(client, config, Uploads(config), Thumbnails(config.photos_roots))
            yield

    door = Door(config.security)
    document = openapi.document()
    documents = {
        "/openapi.json": ("application/json", json.dumps(document).encode()),
        "/docs": ("text/html; charset=utf-8", docs.page(document).encode()),
    }
    return Starlette(
        routes=[*_routes(door), *assets.routes(documents)],
        middleware=_middleware(config),
        exception_handlers={
            LookalikeError: problems.from_library,
            DomainError: problems.from_domain,
            Refused: problems.from_us,
            HTTPException: problems.from_starlette,
        },
        lifespan=lifespan,
    )


def _middleware(config: Config) -> list[Middleware]:
    surround = Middleware(Surround, allowed_hosts=config.hosts)
    if not config.cors_origins:
        return [surround]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=config.cors_origins,
        allow_methods=["GET", "POST", "PATCH"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after", "www-authenticate"],
    )
    return [surround, cors]


def _routes(door: Door) -> Iterator[Route]:
    """A route for each path, with all its methods: so the header Allow names them all."""
    of_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in OPERATIONS:
        of_path[operation.path][operation.method] = operation
    for path, by_method in of_path.items():
        yield Route(path, _serve(by_method, door), methods=list(by_method))


def _serve(by_method: Mapping[str, Operation], door: Door) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        operation = by_method["GET" if request.method == "HEAD" else request.method]
        await door.admit(request, operation)
        return await operation.handler(request, read(operation.parameters, request))

    return serve
