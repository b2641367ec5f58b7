"""Put the application together: routes, error handlers and middleware."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from lookalike.client import Client
from lookalike.errors import LookalikeError
from lookalike_gateway import assets, docs, openapi, problems
from lookalike_gateway.config import Config
from lookalike_gateway.metrics import Metrics
from lookalike_gateway.middleware import RequestMiddleware
from lookalike_gateway.problems import Refused
from lookalike_gateway.routes import copies, curation, duplicates, feedback, health, images, model, projects, search
from lookalike_gateway.state import State
from lookalike_gateway.thumbnail import Thumbnails
from lookalike_gateway.upload import Uploads
from lookalike_serving.errors import DomainError
from lookalike_serving.security import factory


def application(config: Config, metrics: Metrics) -> FastAPI:
    """Return the application, with its client, which lives as long as it does. Raises InvalidSecurity."""
    verifier = factory.verifier(config.security)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Client(
            config.embedder, config.searcher, timeout=config.timeout, credentials=config.credentials
        ) as client:
            app.state.gateway = State(client, Uploads(config), Thumbnails(config.photos_roots), verifier)
            yield

    app = FastAPI(
        openapi_url=None,  # served below, with an ETag; FastAPI's own page loads its script from elsewhere
        middleware=_middleware(config, metrics),
        exception_handlers={
            LookalikeError: problems.from_library,
            DomainError: problems.from_domain,
            Refused: problems.from_us,
            RequestValidationError: problems.from_validation,
            HTTPException: problems.from_http,
        },
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the middleware has our own
    )
    for room in (search, copies, images, duplicates, curation, projects, feedback, model, health):
        app.include_router(room.router)
    document = openapi.document(app)
    documents = {
        "/openapi.json": ("application/json", json.dumps(document).encode()),
        "/docs": ("text/html; charset=utf-8", docs.page(document).encode()),
    }
    app.router.routes.extend(assets.routes(documents))
    return app


def _middleware(config: Config, metrics: Metrics) -> list[Middleware]:
    requests = Middleware(RequestMiddleware, allowed_hosts=config.hosts, metrics=metrics)
    if not config.cors_origins:
        return [requests]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=config.cors_origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after", "www-authenticate"],
    )
    return [requests, cors]
