"""Bound bodies: how large, how slow, of what type, and how many at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.types import Message, Receive

from lookalike_gateway.body_room import Room, Share, too_many
from lookalike_gateway.config import Config
from lookalike_gateway.models.body import Body
from lookalike_gateway.problems import CLOSE, Refused

BodyT = TypeVar("BodyT", bound=Body)

_MULTIPART_OVERHEAD: Final = 64 * 1024
"""What a multipart body may hold beside the photo."""
_SWALLOWED: Final = 4
"""Times the limit: what is received of a body that is too large, and thrown away."""


class Uploads:
    """Receives bodies, of a bounded size in all, and hands on a bounded number of photos at once."""

    def __init__(self, config: Config) -> None:
        self._max_bytes = config.max_upload_bytes
        self._max_photos = config.max_uploads
        self._seconds = config.body_timeout
        self._room = Room(config.max_uploads * (config.max_upload_bytes + _MULTIPART_OVERHEAD))
        self._open = 0

    @asynccontextmanager
    async def photo(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the photo that is the request's body, or the file in it; its place is held to the end of the block.

        Raises:
            Refused: it is too large, too slow, of a wrong type, or there are too many.
        """
        with self._room.share() as share:
            data = await self._receive(request, share)
            if self._open >= self._max_photos:
                raise too_many()
            self._open += 1
            try:
                yield data
            finally:
                self._open -= 1

    async def json(self, request: Request, model: type[BodyT], max_bytes: int) -> BodyT:
        """Return the body, which must be JSON of at most so many bytes, as its model. Raises what refuses it."""
        kind = content_type(request)
        if kind not in ("application/json", "application/merge-patch+json"):  # what no form of another site can send
            raise wrong_type("application/json", kind)
        with self._room.share() as share:
            data = await self._body(request, max_bytes, share)
            try:
                return model.model_validate_json(data)
            except ValidationError as error:
                errors = error.errors(include_url=False, include_context=False)
                in_body = [details | {"loc": ("body", *details["loc"])} for details in errors]
                raise RequestValidationError(in_body) from None

    async def _receive(self, request: Request, share: Share) -> bytes:
        kind = content_type(request)
        if kind == "multipart/form-data":
            return await self._file(request, share)
        if kind.startswith("image/") or kind == "application/octet-stream":
            return await self._body(request, self._max_bytes, share)
        raise wrong_type("image/*, application/octet-stream or multipart/form-data", kind)

    async def _body(self, request: Request, max_bytes: int, share: Share) -> bytes:
        async with share.in_time(self._seconds):
            return await _bounded(request, max_bytes, share).body()

    async def _file(self, request: Request, share: Share) -> bytes:
        bounded = _bounded(request, self._max_bytes + _MULTIPART_OVERHEAD, share)
        async with share.in_time(self._seconds), bounded.form(max_files=1, max_fields=8) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    data = await value.read()
                    return data if len(data) <= self._max_bytes else _too_large(self._max_bytes)
        raise Refused(HTTPStatus.BAD_REQUEST, "INVALID_BODY", "the form holds no file; its field is called `image`")


def has_body(request: Request) -> bool:
    """Return whether anything is sent with the request."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def content_type(request: Request) -> str:
    """Return what the body is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_type(expected: str, actual: str) -> Refused:
    """The body is of a type that is not taken here."""
    detail = f"Content-Type must be {expected}, got {actual[:80]!r}"
    return Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail, headers=CLOSE)


def _bounded(request: Request, max_bytes: int, share: Share) -> Request:
    """The request, whose body cannot be read beyond so many bytes.

    A larger one is refused once it has come, since whoever still sends would not hear us; but one that is much larger,
    or would only be sent when we ask for it, at once.
    """
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        bound = max_bytes if "expect" in request.headers else _SWALLOWED * max_bytes
        if int(length) > bound:
            _too_large(max_bytes)
    return Request(request.scope, _counted(request.receive, max_bytes, share))


def _counted(receive: Receive, max_bytes: int, share: Share) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        share.take(min(len(message.get("body", b"")), max(0, max_bytes - share.size)))  # beyond it nothing is kept
        while received > max_bytes:
            if not message.get("more_body") or received > _SWALLOWED * max_bytes:
                _too_large(max_bytes)
            message = await receive()
            received += len(message.get("body", b""))
        return message

    return counted


def _too_large(max_bytes: int) -> bytes:
    detail = f"the body may be at most {max_bytes:,} bytes"
    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", detail, headers=CLOSE)
