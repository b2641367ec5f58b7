"""The searcher's RPCs."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Final

from lookalike.gathering import gathered
from lookalike.serving import Draining
from lookalike.status import Context, DomainError
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceServicer
from lookalike_searcher import answer, image, search, validation
from lookalike_searcher import project as registry
from lookalike_searcher.database import Database
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.image import Entry

_MAX_TRANSACTION: Final = 512
"""The most images in one transaction. More gains little and delays acknowledgements."""
_LINGER_SECONDS: Final = 0.2
"""How long a transaction waits for more images of its stream. A commit of one image costs nearly that of a hundred."""


class SearcherService(SearcherServiceServicer):
    """Answers from `database`; `draining` says when streams must end themselves."""

    def __init__(self, database: Database, draining: Draining) -> None:
        self._database = database
        self._draining = draining

    async def CreateProject(self, request: wire.CreateProjectRequest, context: Context) -> wire.CreateProjectResponse:
        """See the proto."""
        name, space = validation.project_name(request.name), validation.space(request.space)
        created = await registry.create(self._database, name, space)
        return wire.CreateProjectResponse(project=answer.project(created))

    async def GetProject(self, request: wire.GetProjectRequest, context: Context) -> wire.GetProjectResponse:
        """See the proto."""
        found = await registry.get(self._database, validation.project_name(request.name))
        return wire.GetProjectResponse(project=answer.project(found))

    async def ListProjects(self, request: wire.ListProjectsRequest, context: Context) -> wire.ListProjectsResponse:
        """See the proto."""
        size, after = validation.page_size(request.page_size), _after(request.page_token)
        found = await registry.list_after(self._database, after, size + 1)
        page = found[:size]
        more = len(found) > size
        return wire.ListProjectsResponse(
            projects=[answer.project(item) for item in page], next_page_token=_token(page[-1].name) if more else ""
        )

    async def DeleteProject(self, request: wire.DeleteProjectRequest, context: Context) -> wire.DeleteProjectResponse:
        """See the proto."""
        await registry.delete(self._database, validation.project_name(request.name))
        return wire.DeleteProjectResponse()

    async def CheckImages(self, request: wire.CheckImagesRequest, context: Context) -> wire.CheckImagesResponse:
        """See the proto."""
        project, hashes = validation.project_name(request.project, "project"), validation.hashes(request)
        return wire.CheckImagesResponse(stored_sha256s=await image.stored(self._database, project, hashes))

    async def Search(self, request: wire.SearchRequest, context: Context) -> wire.SearchResponse:
        """See the proto."""
        project, query = validation.project_name(request.project, "project"), validation.query(request)
        ranking = await search.rank(self._database, project, query, validation.limit(request.limit))
        return answer.ranking(ranking, query.sha256)

    async def IndexImages(
        self, request_iterator: AsyncIterator[wire.IndexImagesRequest], context: Context
    ) -> AsyncIterator[wire.IndexImagesResponse]:
        """See the proto."""
        project = ""
        requests = self._draining.until(request_iterator)
        async for batch in gathered(requests, _MAX_TRANSACTION, linger=_LINGER_SECONDS):
            project = _one_project(project, batch)
            for response in await self._index(project, batch):
                yield response

    async def _index(self, project: str, batch: Sequence[wire.IndexImagesRequest]) -> list[wire.IndexImagesResponse]:
        """Store what is valid of the batch in one transaction; the answers to all of it."""
        parsed = [_parse(request) for request in batch]
        results = iter(await image.store(self._database, project, [item for item in parsed if isinstance(item, Entry)]))
        outcomes = [next(results) if isinstance(item, Entry) else item for item in parsed]
        return [answer.indexed(request.sequence, outcome) for request, outcome in zip(batch, outcomes, strict=True)]


def _parse(request: wire.IndexImagesRequest) -> Entry | DomainError:
    try:
        return validation.entry(request)
    except InvalidField as error:
        return error


def _one_project(project: str, batch: Sequence[wire.IndexImagesRequest]) -> str:
    """The stream's project: named by its first request, and by no other differently."""
    project = project or validation.project_name(batch[0].project, "project")
    for request in batch:
        if request.project not in ("", project):
            raise InvalidField(
                "project", f"must be empty or {project!r} after the stream's first request", request.project
            )
    return project


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _after(token: str) -> str:
    if not token:
        return ""
    try:
        name = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:  # among them broken base64, broken UTF-8 and text that is not ASCII
        raise InvalidField("page_token", "must be a next_page_token of this service", token) from None
    return validation.project_name(name, "page_token")
