"""Serve the RPCs about a project's spaces: parse the request, call the domain, answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceServicer
from lookalike_searcher import validation
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.images import export
from lookalike_searcher.indexes import calibration, index
from lookalike_searcher.projects import spaces
from lookalike_searcher.projects.project import Project
from lookalike_searcher.rpc import page_token, parse, respond
from lookalike_searcher.search import space_comparison
from lookalike_searcher.tuning import state
from lookalike_serving.errors import Context, ShuttingDown
from lookalike_serving.server import Draining


class SpaceService(SearcherServiceServicer):
    """The service answers RPCs about spaces from `database`. Streams end when `draining` begins."""

    def __init__(self, config: Config, database: Database, draining: Draining) -> None:
        self._config = config
        self._database = database
        self._draining = draining

    async def CreateSpace(self, request: wire.CreateSpaceRequest, context: Context) -> wire.CreateSpaceResponse:
        """Add a space to a project; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        derivation = await asyncio.to_thread(parse.derivation, request) if request.HasField("projection") else None
        dimensions = parse.dimensions(request.dimensions)
        changed = await spaces.create(self._database, project_name, space, dimensions, derivation)
        return wire.CreateSpaceResponse(project=await self.project(changed))

    async def CompareSpaces(self, request: wire.CompareSpacesRequest, context: Context) -> wire.CompareSpacesResponse:
        """Compare a space with the serving one; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        samples = int(validation.between("sample_size", request.sample_size, 0, 1000)) or 100
        limit = int(validation.between("limit", request.limit, 0, 100)) or 10
        comparison = await space_comparison.compare(self._database, project_name, space, samples=samples, limit=limit)
        return respond.comparison(comparison)

    async def CutOverSpace(self, request: wire.CutOverSpaceRequest, context: Context) -> wire.CutOverSpaceResponse:
        """Make a space serve its project's searches; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        changed = await spaces.cut_over(
            self._database,
            project_name,
            space,
            allow_incomplete=request.allow_incomplete,
            index_from=self._config.exact_threshold,
        )
        return wire.CutOverSpaceResponse(project=await self.project(changed))

    async def DeleteSpace(self, request: wire.DeleteSpaceRequest, context: Context) -> wire.DeleteSpaceResponse:
        """Delete a space of a project; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        return wire.DeleteSpaceResponse(
            project=await self.project(await spaces.delete(self._database, project_name, space))
        )

    async def ExportVectors(
        self, request: wire.ExportVectorsRequest, context: Context
    ) -> AsyncIterator[wire.ExportVectorsResponse]:
        """Export the vectors of a space; see the proto."""
        query, digest = parse.export(request)
        async with aclosing(export.blocks(self._database, query)) as blocks:
            async for block in blocks:
                yield respond.exported(block, page_token.encode(digest, *block.place))
                if self._draining.has_begun():
                    raise ShuttingDown

    async def project(self, project: Project) -> wire.Project:
        """Return the project with the states of its indexes, and what calibrations measured."""
        states = await index.states(self._database, project, threshold=self._config.exact_threshold)
        stored = await state.read(self._database, project.id)
        return respond.project(project, states, await calibration.stored(self._database, project), stored.shown)
