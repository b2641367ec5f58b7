"""A project's images: which there are, where they are used, and their deletion."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from lookalike._operations import decode, encode
from lookalike._operations.paging import pages
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import patiently
from lookalike._transport.servers import Servers
from lookalike.records import DeleteResult, Filter, Image, ImagePage, Reference
from lookalike.v1 import searcher_pb2 as wire

_PAGE_SIZE: Final = 500


async def check(servers: Servers, project: str, sha256s: Sequence[bytes], space: str, request_id: str) -> set[bytes]:
    """Those of the hashes that the project holds with a vector in the space; in none, the one that serves."""
    request = wire.CheckImagesRequest(project=project, sha256s=sha256s, space=space)
    response = await servers.ask(SEARCHER, servers.searcher.CheckImages, request, request_id)
    return set(response.stored_sha256s)


async def get(servers: Servers, project: str, sha256: str | None, uri: str | None, request_id: str) -> Image:
    """The image with this hash, or else at this URI."""
    with encode.sendable():
        request = wire.GetImageRequest(project=project)
        if sha256 is not None:
            request.sha256 = bytes.fromhex(sha256)
        if uri is not None:
            request.uri = uri
    response = await servers.ask(SEARCHER, servers.searcher.GetImage, request, request_id)
    return decode.image(response.image)


async def list_all(
    servers: Servers, project: str, chosen: Filter | None, missing_in_space: str | None, request_id: str
) -> AsyncGenerator[Image, None]:
    """Yield images in the order in which they were first indexed, fetching page after page.

    What is wrong with the request, or that nobody is there, is said at once; later, the searcher may be away for a
    minute.
    """
    with encode.sendable("filter"):
        request = wire.ListImagesRequest(
            project=project,
            filter=encode.filter_(chosen) if chosen else None,
            missing_in_space=missing_in_space or "",
            page_size=_PAGE_SIZE,
        )
    ask = partial(servers.ask, SEARCHER, servers.searcher.ListImages, request, request_id)
    async for found in pages(request, ask, lambda: patiently(ask)):
        for image in found.images:
            yield decode.image(image)


async def page(
    servers: Servers, project: str, chosen: Filter | None, page_size: int, page_token: str, request_id: str
) -> ImagePage:
    """Some images, in the same order."""
    with encode.sendable():
        request = wire.ListImagesRequest(
            project=project,
            filter=encode.filter_(chosen) if chosen else None,
            page_size=page_size,
            page_token=page_token,
        )
    found = await servers.ask(SEARCHER, servers.searcher.ListImages, request, request_id)
    return ImagePage(tuple(map(decode.image, found.images)), found.next_page_token)


async def delete(
    servers: Servers,
    project: str,
    uris: str | Sequence[str],
    products: str | Sequence[str],
    sha256s: str | Sequence[str],
    request_id: str,
) -> DeleteResult:
    """Delete references, and images that have lost their last one."""
    with encode.sendable():
        request = wire.DeleteImagesRequest(
            project=project,
            uris=encode.several(uris),
            products=encode.several(products),
            sha256s=map(bytes.fromhex, encode.several(sha256s)),
        )
    response = await servers.ask(SEARCHER, servers.searcher.DeleteImages, request, request_id)
    return DeleteResult(response.deleted_reference_count, response.deleted_image_count)


async def check_references(
    servers: Servers, project: str, references: Sequence[wire.Reference], space: str, request_id: str
) -> Sequence[wire.ReferenceState]:
    """What the project holds of each reference, with a vector in the space; in none, the one that serves."""
    request = wire.CheckReferencesRequest(project=project, references=references, space=space)
    response = await servers.ask(SEARCHER, servers.searcher.CheckReferences, request, request_id)
    return response.states


async def reference_pages(
    servers: Servers, project: str, uri_prefix: str, request_id: str
) -> AsyncGenerator[list[Reference], None]:
    """Yield the project's references whose URIs begin so, oldest first, page by page."""
    request = wire.ListReferencesRequest(project=project, uri_prefix=uri_prefix, page_size=_PAGE_SIZE)
    ask = partial(servers.ask, SEARCHER, servers.searcher.ListReferences, request, request_id)
    async for found in pages(request, lambda: patiently(ask)):
        yield [decode.reference(one.reference) for one in found.references]


async def delete_references(
    servers: Servers, project: str, references: Sequence[Reference], request_id: str
) -> DeleteResult:
    """Delete exactly these references, at most 1,000."""
    named = [encode.reference(one) for one in references]
    request = wire.DeleteImagesRequest(project=project, references=named)
    response = await patiently(lambda: servers.ask(SEARCHER, servers.searcher.DeleteImages, request, request_id))
    return DeleteResult(response.deleted_reference_count, response.deleted_image_count)
