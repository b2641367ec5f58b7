"""Show the images of a project: which there are, and what they look like."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.image import Image, ImagePage
from lookalike_gateway.parameters import GIVEN_ONCE, NOTHING, ImageHash, ImageList, Project, Thumbnail
from lookalike_gateway.problems import Refused
from lookalike_gateway.state import GatewayState

router = APIRouter(prefix="/v1/projects/{project}/images", responses=openapi.COMMON | openapi.refusals(404))


@router.get(
    "",
    operation_id="listImages",
    summary="List images",
    description="In the order in which they were first indexed.",
    dependencies=[Depends(Permission("ListImages")), GIVEN_ONCE],
)
async def list_images(project: Project, query: Annotated[ImageList, Query()], state: GatewayState) -> ImagePage:
    """Return one page of a project's images."""
    page = await state.client.image_page(
        project, filter=query.filter(), page_size=query.limit, page_token=query.page_token
    )
    return ImagePage.model_validate(page, context=state.thumbnails.url(project))


@router.get(
    "/{sha256}",
    operation_id="getImage",
    summary="One image",
    description="With the places where it is used.",
    dependencies=[Depends(Permission("GetImage")), NOTHING],
)
async def get_image(project: Project, sha256: ImageHash, state: GatewayState) -> Image:
    """Return one image of a project."""
    image = await state.client.get_image(project, sha256=sha256)
    return Image.model_validate(image, context=state.thumbnails.url(project))


@router.get(
    "/{sha256}/thumbnail",
    operation_id="getThumbnail",
    summary="A small picture of an image",
    description="Of a local file below a configured root that still holds what was indexed, at most `size` pixels"
    " a side; else that of the image's fingerprint, at most 160. URLs are never fetched.",
    dependencies=[Depends(Permission("GetImage")), GIVEN_ONCE],
    response_class=Response,
    responses=openapi.gives("image/jpeg", "image/webp"),
)
async def get_thumbnail(
    project: Project, sha256: ImageHash, query: Annotated[Thumbnail, Query()], request: Request, state: GatewayState
) -> Response:
    """Return a small picture of an image. The image is looked up each time, as it may have been deleted."""
    image = await state.client.get_image(project, sha256=sha256)
    kept, tag = request.headers.get("if-none-match", ""), _tag(image.sha256, query.size)
    if tag in kept:
        return Response(status_code=304, headers=_kept(tag))
    if made := await state.thumbnails.make(image, query.size):
        return Response(made, headers=_kept(tag), media_type="image/jpeg")
    if not (small := await state.client.get_thumbnail(project, image.sha256)):
        detail = f"image {image.sha256} has no thumbnail: no file below a root holds it, and it has no fingerprint"
        raise Refused(HTTPStatus.NOT_FOUND, "THUMBNAIL_NOT_FOUND", detail)
    tag = _tag(image.sha256, "fingerprint")
    if tag in kept:
        return Response(status_code=304, headers=_kept(tag))
    return Response(small, headers=_kept(tag), media_type="image/webp")


def _tag(sha256: str, variant: object) -> str:
    return f'"{sha256[:32]}-{variant}"'


def _kept(tag: str) -> dict[str, str]:
    return {
        "ETag": tag,
        "Cache-Control": "private, max-age=3600",
        "Vary": "Authorization",  # what a browser keeps is for whoever shows the same token
    }
