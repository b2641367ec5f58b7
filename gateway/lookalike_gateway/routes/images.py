"""Show the images of a project: which there are, and what they look like."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.image import Image, ImagePage
from lookalike_gateway.parameters import GIVEN_ONCE, NOTHING, ImageHash, ImageList, Project, Thumbnail
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
    description="Only of local files below a configured root that still hold what was indexed. URLs are never fetched.",
    dependencies=[Depends(Permission("GetImage")), GIVEN_ONCE],
    response_class=Response,
    responses=openapi.gives("image/jpeg"),
)
async def get_thumbnail(
    project: Project, sha256: ImageHash, query: Annotated[Thumbnail, Query()], request: Request, state: GatewayState
) -> Response:
    """Return a small picture of an image. The image is looked up each time, as it may have been deleted."""
    image = await state.client.get_image(project, sha256=sha256)
    headers = {
        "ETag": f'"{image.sha256[:32]}-{query.size}"',
        "Cache-Control": "private, max-age=3600",
        "Vary": "Authorization",  # what a browser keeps is for whoever shows the same token
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await state.thumbnails.make(image, query.size), headers=headers, media_type="image/jpeg")
