"""Show the images of a project: which there are, and what they look like."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike_gateway import respond
from lookalike_gateway.parameter import Given
from lookalike_gateway.search import chosen
from lookalike_gateway.state import face_of


async def listed(request: Request, given: Given) -> Response:
    """Return one page of a project's images."""
    face, project = face_of(request), given["project"]
    page = await face.client.image_page(
        project, filter=chosen(given), page_size=given["limit"], page_token=given["page_token"] or ""
    )
    images = [respond.image(image, project, face.thumbnails) for image in page.images]
    return JSONResponse({"images": images, "nextPageToken": page.next_page_token})


async def shown(request: Request, given: Given) -> Response:
    """Return one image of a project."""
    face, project = face_of(request), given["project"]
    found = await face.client.get_image(project, sha256=given["sha256"])
    return JSONResponse(respond.image(found, project, face.thumbnails))


async def thumbnail(request: Request, given: Given) -> Response:
    """Return a small picture of an image. The image is looked up each time, as it may have been deleted."""
    face = face_of(request)
    found = await face.client.get_image(given["project"], sha256=given["sha256"])
    headers = {
        "ETag": f'"{found.sha256[:32]}-{given["size"]}"',
        "Cache-Control": "private, max-age=3600",
        "Vary": "Authorization",  # what a browser keeps is for whoever shows the same token
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await face.thumbnails.make(found, given["size"]), headers=headers, media_type="image/jpeg")
