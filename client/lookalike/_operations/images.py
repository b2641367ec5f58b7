"""List, find and delete a project's images, and where they are used."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from lookalike._operations import decode, encode
from lookalike._operations.paging import pages
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike._transport.retry import with_retries
from lookalike.records import DeleteResult, Filter, Image, ImagePage, Reference
from lookalike.v1 import searcher_pb2 as wire

_PAGE_SIZE: Final = 500


async def check(
    call: Call, project_name: str, sha256s: Sequence[bytes], space: str, *, fingerprint: bool = False
) -> set[bytes]:
    """Return those of the hashes that the project holds with a vector in the space; by default, in the serving one.

    Where asked, they must have a fingerprint too.
    """
    request = wire.CheckImagesRequest(project=project_name, sha256s=sha256s, space=space, fingerprint=fingerprint)
    response = await call.ask(SEARCHER, call.searcher.CheckImages, request)
    return set(response.stored_sha256s)


async def get(call: Call, project_name: str, sha256: str | None, uri: str | None) -> Image:
    """Return the image with this hash, or else at this URI."""
    with encode.sendable():
        request = wire.GetImageRequest(project=project_name)
        if sha256 is not None:
            request.sha256 = bytes.fromhex(sha256)
        if uri is not None:
            request.uri = uri
    response = await call.ask(SEARCHER, call.searcher.GetImage, request)
    return decode.image(response.image)


async def thumbnail(call: Call, project_name: str, sha256: str) -> bytes:
    """Return the small picture of an image's fingerprint; empty if it has none."""
    with encode.sendable():
        request = wire.GetImageRequest(project=project_name, sha256=bytes.fromhex(sha256), thumbnail=True)
    response = await call.ask(SEARCHER, call.searcher.GetImage, request)
    return bytes(response.thumbnail)


async def list_all(
    call: Call, project_name: str, chosen: Filter | None, missing_in_space: str | None
) -> AsyncGenerator[Image, None]:
    """Yield images in the order in which they were first indexed, fetching page after page.

    What is wrong with the request, or that nobody is there, is said at once; later, the searcher may be away for a
    minute.
    """
    with encode.sendable("filter"):
        request = wire.ListImagesRequest(
            project=project_name,
            filter=encode.filter_(chosen) if chosen else None,
            missing_in_space=missing_in_space or "",
            page_size=_PAGE_SIZE,
        )
    ask = partial(call.ask, SEARCHER, call.searcher.ListImages, request)
    async for response in pages(request, ask, lambda: with_retries(ask)):
        for image in response.images:
            yield decode.image(image)


async def page(call: Call, project_name: str, chosen: Filter | None, page_size: int, page_token: str) -> ImagePage:
    """Return one page of the images, in the same order."""
    with encode.sendable():
        request = wire.ListImagesRequest(
            project=project_name,
            filter=encode.filter_(chosen) if chosen else None,
            page_size=page_size,
            page_token=page_token,
        )
    response = await call.ask(SEARCHER, call.searcher.ListImages, request)
    return ImagePage(tuple(map(decode.image, response.images)), response.next_page_token)


async def delete(
    call: Call,
    project_name: str,
    uris: str | Sequence[str],
    products: str | Sequence[str],
    sha256s: str | Sequence[str],
) -> DeleteResult:
    """Delete references, and images that have lost their last one."""
    with encode.sendable():
        request = wire.DeleteImagesRequest(
            project=project_name,
            uris=encode.as_sequence(uris),
            products=encode.as_sequence(products),
            sha256s=map(bytes.fromhex, encode.as_sequence(sha256s)),
        )
    response = await call.ask(SEARCHER, call.searcher.DeleteImages, request)
    return DeleteResult(response.deleted_reference_count, response.deleted_image_count)


async def check_references(
    call: Call, project_name: str, references: Sequence[wire.Reference], space: str
) -> Sequence[wire.ReferenceState]:
    """Return what the project holds of each reference, with a vector in the space; by default, in the serving one."""
    request = wire.CheckReferencesRequest(project=project_name, references=references, space=space)
    response = await call.ask(SEARCHER, call.searcher.CheckReferences, request)
    return response.states


async def reference_pages(call: Call, project_name: str, uri_prefix: str) -> AsyncGenerator[list[Reference], None]:
    """Yield the project's references whose URIs begin so, oldest first, page by page."""
    request = wire.ListReferencesRequest(project=project_name, uri_prefix=uri_prefix, page_size=_PAGE_SIZE)
    ask = partial(call.ask, SEARCHER, call.searcher.ListReferences, request)
    async for response in pages(request, lambda: with_retries(ask)):
        yield [decode.reference(entry.reference) for entry in response.references]


async def delete_references(call: Call, project_name: str, references: Sequence[Reference]) -> DeleteResult:
    """Delete exactly these references, at most 1,000."""
    messages = [encode.reference(reference) for reference in references]
    request = wire.DeleteImagesRequest(project=project_name, references=messages)
    response = await with_retries(lambda: call.ask(SEARCHER, call.searcher.DeleteImages, request))
    return DeleteResult(response.deleted_reference_count, response.deleted_image_count)
