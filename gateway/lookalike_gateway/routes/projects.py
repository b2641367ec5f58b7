"""Show projects and their state, and switch their searches on and off."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.project import Project, ProjectChange, ProjectPage
from lookalike_gateway.parameters import GIVEN_ONCE, NOTHING, ProjectList
from lookalike_gateway.parameters import Project as ProjectName
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

_MAX_JSON: Final = 16 * 1024

router = APIRouter(prefix="/v1/projects", responses=openapi.COMMON)


@router.get(
    "",
    operation_id="listProjects",
    summary="List projects",
    description="By name, without their spaces.",
    dependencies=[Depends(Permission("ListProjects")), GIVEN_ONCE, NO_STORE],
)
async def list_projects(query: Annotated[ProjectList, Query()], state: GatewayState) -> ProjectPage:
    """Return one page of the projects."""
    page = await state.client.project_page(page_size=query.limit, page_token=query.page_token)
    return ProjectPage.model_validate(page)


@router.get(
    "/{project}",
    operation_id="getProject",
    summary="A project's state",
    description="How many images are indexed, when the last one was, and how far the indexes of its spaces are.",
    dependencies=[Depends(Permission("GetProject")), NOTHING, NO_STORE],
    responses=openapi.refusals(404),
)
async def get_project(project: ProjectName, state: GatewayState) -> Project:
    """Return one project with its spaces."""
    return Project.model_validate(await state.client.get_project(project))


@router.patch(
    "/{project}",
    operation_id="switchProject",
    summary="Switch a project's searches on or off",
    description="While they are off, searches are refused with 409, SEARCH_DISABLED. All else goes on.",
    dependencies=[Depends(Permission("UpdateProject")), NOTHING, NO_STORE],
    responses=openapi.refusals(404, 408, 413, 415),
    openapi_extra=openapi.takes(ProjectChange),
)
async def switch_project(project: ProjectName, request: Request, state: GatewayState) -> Project:
    """Switch a project's searches on or off."""
    change = await state.uploads.json(request, ProjectChange, _MAX_JSON)
    changed = await state.client.update_project(project, search_enabled=change.search_enabled)
    return Project.model_validate(changed)
