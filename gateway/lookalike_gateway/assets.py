"""Serve the page's files from memory: nothing of a request ever names a file."""

import hashlib
from importlib.resources import files
from typing import Final

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import Route

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def contents() -> dict[str, bytes]:
    """Return the contents of the page's files by name."""
    folder = files(__package__) / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}


def routes(documents: dict[str, tuple[str, bytes]]) -> list[Route]:
    """The routes of the page's files and of documents made elsewhere, given by path with their media types."""
    page_routes = [
        _route("/" if name == "index.html" else f"/assets/{name}", _TYPES[name.rpartition(".")[2]], data)
        for name, data in contents().items()
    ]
    return page_routes + [_route(path, media, data) for path, (media, data) in documents.items()]


def _route(path: str, media: str, data: bytes) -> Route:
    """Asked for again each time, and sent again only after a new version was installed."""
    headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"', "Cache-Control": "no-cache"}

    async def send(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=media)

    return Route(path, send, methods=["GET"])
