"""Create, change and delete projects and their spaces."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Final

import grpc

from lookalike._operations import decode_project, embedding, encode
from lookalike._operations.paging import pages
from lookalike._transport.call import Call
from lookalike._transport.channel import SEARCHER
from lookalike.errors import NotFoundError, PreconditionError
from lookalike.records import (
    Filling,
    IndexState,
    Limits,
    Project,
    Projection,
    ProjectPage,
    SpaceComparison,
    TuningPolicy,
)
from lookalike.v1 import searcher_pb2 as wire

_LOOK_SECONDS: Final = 0.5
"""Between two looks at a space that is being filled."""


async def create(
    call: Call,
    name: str,
    space: str | None,
    dimensions: int | None,
    limits: Limits | None,
    tuning_policy: TuningPolicy | None,
) -> Project:
    """Create a project, in the embedder's space if none is given."""
    space, dimensions = await _space(call, space, dimensions)
    with encode.sendable():
        request = wire.CreateProjectRequest(
            name=name,
            space=space,
            dimensions=dimensions,
            limits=encode.limits(limits or Limits()),
            tuning_policy=encode.tuning_policy(tuning_policy) if tuning_policy else wire.TUNING_POLICY_UNSPECIFIED,
        )
    response = await call.ask(SEARCHER, call.searcher.CreateProject, request)
    return decode_project.project(response.project)


async def get(call: Call, name: str) -> Project:
    """Return the project of that name."""
    request = wire.GetProjectRequest(name=name)
    response = await call.ask(SEARCHER, call.searcher.GetProject, request)
    return decode_project.project(response.project)


async def list_all(call: Call) -> AsyncIterator[Project]:
    """Yield all projects by name, fetching page after page."""
    request = wire.ListProjectsRequest()
    ask = partial(call.ask, SEARCHER, call.searcher.ListProjects, request)
    async for response in pages(request, ask):
        for project in response.projects:
            yield decode_project.project(project)


async def page(call: Call, page_size: int, page_token: str) -> ProjectPage:
    """Return one page of the projects, by name."""
    with encode.sendable():
        request = wire.ListProjectsRequest(page_size=page_size, page_token=page_token)
    response = await call.ask(SEARCHER, call.searcher.ListProjects, request)
    return ProjectPage(tuple(map(decode_project.project, response.projects)), response.next_page_token)


async def update(
    call: Call,
    name: str,
    limits: Limits | None,
    search_enabled: bool | None,
    fingerprints_enabled: bool | None,
    tuning_policy: TuningPolicy | None,
    accept_space: str,
) -> Project:
    """Replace a project's limits, switch what it does on or off, or accept a proposal; None changes nothing."""
    with encode.sendable():
        request = wire.UpdateProjectRequest(
            name=name,
            limits=encode.limits(limits) if limits is not None else None,
            search_disabled=None if search_enabled is None else not search_enabled,
            fingerprints_disabled=None if fingerprints_enabled is None else not fingerprints_enabled,
            tuning_policy=encode.tuning_policy(tuning_policy) if tuning_policy else None,
            accept_space=accept_space,
        )
    response = await call.ask(SEARCHER, call.searcher.UpdateProject, request)
    return decode_project.project(response.project)


async def delete(call: Call, name: str) -> None:
    """Delete a project with all its images."""
    request = wire.DeleteProjectRequest(name=name)
    await call.ask(SEARCHER, call.searcher.DeleteProject, request)


async def create_space(
    call: Call,
    project_name: str,
    space: str | None,
    dimensions: int | None = None,
    projection: Projection | None = None,
) -> Project:
    """Add a space to a project: the embedder's, if none is given."""
    space, dimensions = await _space(call, space, dimensions)
    with encode.sendable():
        request = wire.CreateSpaceRequest(
            project=project_name,
            space=space,
            dimensions=dimensions,
            projection=encode.projection(projection) if projection else None,
        )
    response = await call.ask(SEARCHER, call.searcher.CreateSpace, request)
    return decode_project.project(response.project)


async def _space(call: Call, space: str | None, dimensions: int | None) -> tuple[str, int]:
    """Return a new space's name and dimensions: the embedder's if no space is given; 0 for the searcher's default."""
    if space:
        return space, dimensions or 0
    model = await embedding.model(call)
    return model.space, dimensions or model.dimensions


async def filling(call: Call, project_name: str, space: str) -> AsyncGenerator[Filling, None]:
    """Yield how far a derived space is, again and again until it is filled and its index, if one is due, is ready."""
    while True:
        project = await get(call, project_name)
        by_name = {space_record.name: space_record for space_record in project.spaces}
        if space not in by_name or by_name[space].source not in by_name:
            raise NotFoundError(
                f"project {project_name!r} has no derived space {space!r}",
                reason="SPACE_NOT_FOUND",
                metadata={"space": space},
                code=grpc.StatusCode.NOT_FOUND,
            )
        derived = by_name[space]
        source_count = by_name[derived.source].vector_count
        yield Filling(derived.vector_count, source_count)
        lacking = source_count < project.image_count  # then its source is no better, and no index is built
        index_settled = lacking or derived.index.state in (IndexState.NONE, IndexState.READY)
        if derived.vector_count >= source_count and index_settled:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def compare_spaces(call: Call, project_name: str, space: str, sample_size: int, limit: int) -> SpaceComparison:
    """Set a space beside the one that serves."""
    with encode.sendable():
        request = wire.CompareSpacesRequest(project=project_name, space=space, sample_size=sample_size, limit=limit)
    response = await call.ask(SEARCHER, call.searcher.CompareSpaces, request)
    return decode_project.comparison(response)


async def cut_over_space(call: Call, project_name: str, space: str, *, allow_incomplete: bool) -> Project:
    """Make a space the one that serves."""
    request = wire.CutOverSpaceRequest(project=project_name, space=space, allow_incomplete=allow_incomplete)
    response = await call.ask(SEARCHER, call.searcher.CutOverSpace, request)
    return decode_project.project(response.project)


async def delete_space(call: Call, project_name: str, space: str) -> Project:
    """Delete a space that does not serve."""
    request = wire.DeleteSpaceRequest(project=project_name, space=space)
    response = await call.ask(SEARCHER, call.searcher.DeleteSpace, request)
    return decode_project.project(response.project)


async def space_to_fill(call: Call, project: Project) -> str:
    """Return the space in which images must have a vector, or else be embedded; empty for the only one.

    Raises:
        PreconditionError: it has several, and none of them is the embedder's.
    """
    if len(project.spaces) <= 1:
        return ""
    space = (await embedding.model(call)).space
    check_space(project, space)
    return space


def check_space(project: Project, space: str) -> None:
    """Check that the embedder's space is one of the project's. Raises PreconditionError."""
    names = [own.name for own in project.spaces if not own.source] or [project.space]
    if space not in names:
        raise PreconditionError(
            f"the embedder's space is {space!r}, project {project.name!r} has {', '.join(map(repr, names))}; use an"
            " embedder of that space, or add the new one with `lookalike space create`",
            reason="WRONG_SPACE",
            metadata={"expected": ",".join(names), "found": space},
            code=grpc.StatusCode.FAILED_PRECONDITION,
        )
