"""The searcher's RPCs: parse, do, answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from lookalike._concurrency.batches import ahead, gathered
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceServicer
from lookalike_searcher import validation
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.duplicates.duplicates import Duplicates
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.feedback import feedback
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.images import export, reading, writing
from lookalike_searcher.images.image import Entry
from lookalike_searcher.indexes import index
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.rpc import page_token, parse, respond
from lookalike_searcher.rpc.search_handler import Searching
from lookalike_searcher.search import space_comparison
from lookalike_serving.errors import Context, DomainError, ShuttingDown
from lookalike_serving.security import audit
from lookalike_serving.security.caller import CALLER
from lookalike_serving.server import Draining

_MAX_TRANSACTION: Final = 1024
"""The most images in one transaction, or little more. More gains little and delays acknowledgements."""
_PARSED_AT_ONCE: Final = 32
"""Entries that are parsed without a pause: in 1 ms."""
_LINGER_SECONDS: Final = 0.2
"""How long a transaction waits for more images of its stream. A commit of one image costs nearly that of a hundred."""
_PROJECTS: Final = "projects"
"""What page tokens of ListProjects are bound to."""


class SearcherService(SearcherServiceServicer):
    """Answers from `database`; `draining` says when streams must end themselves; `metrics` is told of images."""

    def __init__(
        self,
        config: Config,
        database: Database,
        searching: Searching,
        impressions: Impressions,
        draining: Draining,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._database = database
        self._searching = searching
        self._impressions = impressions
        self._draining = draining
        self._duplicates = Duplicates(database)

    async def CreateProject(self, request: wire.CreateProjectRequest, context: Context) -> wire.CreateProjectResponse:
        """See the proto."""
        name, space = validation.project_name(request.name), validation.space(request.space)
        created = await registry.create(self._database, name, space, parse.limits(request.limits))
        return wire.CreateProjectResponse(project=await self._project(created))

    async def GetProject(self, request: wire.GetProjectRequest, context: Context) -> wire.GetProjectResponse:
        """See the proto."""
        found = await registry.get(self._database, validation.project_name(request.name))
        return wire.GetProjectResponse(project=await self._project(found))

    async def ListProjects(self, request: wire.ListProjectsRequest, context: Context) -> wire.ListProjectsResponse:
        """See the proto."""
        size, after = validation.page_size(request.page_size), ""
        if request.page_token:
            [after] = page_token.decode(request.page_token, _PROJECTS, (str,))
        found = await registry.list_after(self._database, after, size + 1, CALLER.get().projects)
        more = page_token.encode(_PROJECTS, found[size - 1].name) if len(found) > size else ""
        return wire.ListProjectsResponse(projects=map(respond.project, found[:size]), next_page_token=more)

    async def UpdateProject(self, request: wire.UpdateProjectRequest, context: Context) -> wire.UpdateProjectResponse:
        """See the proto."""
        name = validation.project_name(request.name)
        limits, search_disabled = parse.update(request)
        updated = await registry.update(self._database, name, limits, search_disabled=search_disabled)
        return wire.UpdateProjectResponse(project=await self._project(updated))

    async def DeleteProject(self, request: wire.DeleteProjectRequest, context: Context) -> wire.DeleteProjectResponse:
        """See the proto."""
        await registry.delete(self._database, validation.project_name(request.name))
        return wire.DeleteProjectResponse()

    async def IndexImages(
        self, request_iterator: AsyncIterator[wire.IndexImagesRequest], context: Context
    ) -> AsyncIterator[wire.IndexImagesResponse]:
        """See the proto."""
        requests = self._draining.until(request_iterator)
        batches = gathered(requests, _MAX_TRANSACTION, linger=_LINGER_SECONDS, weight=_images)
        async with aclosing(ahead(_parsed(batches))) as transactions:  # parsed while PostgreSQL stores the one before
            async for project, batch, parsed in transactions:
                for response in await self._index(project, batch, parsed):
                    yield response

    async def SyncProduct(self, request: wire.SyncProductRequest, context: Context) -> wire.SyncProductResponse:
        """See the proto."""
        project = validation.project_name(request.project, "project")
        product = validation.product("product", request.product, least=1)
        entries = parse.synced(request, product)
        changed, deleted = await writing.sync(self._database, project, product, entries, self._config.max_images)
        self._note(changed)
        self._note_deleted(deleted)
        return wire.SyncProductResponse(
            statuses=[respond.index_status(changed=one) for one in changed],
            deleted_reference_count=deleted.references,
            deleted_image_count=deleted.images,
        )

    async def DeleteImages(self, request: wire.DeleteImagesRequest, context: Context) -> wire.DeleteImagesResponse:
        """See the proto."""
        project, names = validation.project_name(request.project, "project"), parse.names(request)
        deleted = await writing.delete(self._database, project, names)
        self._note_deleted(deleted)
        return wire.DeleteImagesResponse(deleted_reference_count=deleted.references, deleted_image_count=deleted.images)

    async def CheckImages(self, request: wire.CheckImagesRequest, context: Context) -> wire.CheckImagesResponse:
        """See the proto."""
        project, hashes = validation.project_name(request.project, "project"), parse.hashes(request)
        space = validation.space(request.space) if request.space else ""
        stored = await reading.stored(self._database, project, hashes, space)
        return wire.CheckImagesResponse(stored_sha256s=stored)

    async def CheckReferences(
        self, request: wire.CheckReferencesRequest, context: Context
    ) -> wire.CheckReferencesResponse:
        """See the proto."""
        project, asked = validation.project_name(request.project, "project"), parse.possible(request.references)
        space = validation.space(request.space) if request.space else ""
        return respond.states(await reading.states(self._database, project, asked, space))

    async def ListReferences(
        self, request: wire.ListReferencesRequest, context: Context
    ) -> wire.ListReferencesResponse:
        """See the proto."""
        project, size = validation.project_name(request.project, "project"), validation.page_size(request.page_size)
        prefix = validation.uri("uri_prefix", request.uri_prefix) if request.uri_prefix else ""
        asked, after = parse.after(request)
        project_id, found = await reading.references_after(self._database, project, prefix, size + 1, after)
        more = page_token.encode(asked, project_id, found[size - 1].id) if len(found) > size else ""
        return wire.ListReferencesResponse(references=map(respond.listed, found[:size]), next_page_token=more)

    async def GetImage(self, request: wire.GetImageRequest, context: Context) -> wire.GetImageResponse:
        """See the proto."""
        project = validation.project_name(request.project, "project")
        match request.WhichOneof("image"):
            case "uri":
                found = await reading.get(self._database, project, uri=validation.uri("uri", request.uri))
            case "sha256":
                found = await reading.get(self._database, project, sha256=validation.sha256(request.sha256))
            case _:
                raise InvalidField("sha256", "is required, or else uri", None)
        [image] = respond.images([found])
        return wire.GetImageResponse(image=image)

    async def ListImages(self, request: wire.ListImagesRequest, context: Context) -> wire.ListImagesResponse:
        """See the proto."""
        project, size = validation.project_name(request.project, "project"), validation.page_size(request.page_size)
        chosen = parse.filter_(request.filter)
        missing = validation.space(request.missing_in_space, "missing_in_space") if request.missing_in_space else ""
        asked, after = parse.after(request)
        project_id, found = await reading.page(self._database, project, chosen, missing, size + 1, after)
        more = page_token.encode(asked, project_id, found[size - 1].id) if len(found) > size else ""
        return wire.ListImagesResponse(images=respond.images(found[:size]), next_page_token=more)

    async def Search(self, request: wire.SearchRequest, context: Context) -> wire.SearchResponse:
        """See the proto."""
        return await self._searching.answer(request)

    async def SearchBatch(self, request: wire.SearchBatchRequest, context: Context) -> wire.SearchBatchResponse:
        """See the proto."""
        validation.at_most("requests", request.requests, validation.MAX_BATCH, least=1)
        return wire.SearchBatchResponse(results=await self._searching.answer_all(request.requests))

    async def RecordFeedback(
        self, request: wire.RecordFeedbackRequest, context: Context
    ) -> wire.RecordFeedbackResponse:
        """See the proto."""
        project, judged = validation.project_name(request.project, "project"), parse.feedback(request)
        most, kept = self._config.max_feedback, self._config.feedback_kept
        news = await feedback.record(self._database, project, judged, most=most, kept=kept)
        for verdict in news:
            self._metrics.feedback.labels(verdict).inc()
        return wire.RecordFeedbackResponse(changed_count=len(news))

    async def ListFeedback(self, request: wire.ListFeedbackRequest, context: Context) -> wire.ListFeedbackResponse:
        """See the proto."""
        project, size = validation.project_name(request.project, "project"), validation.page_size(request.page_size)
        asked, after = parse.after(request)
        project_id, found = await feedback.page(self._database, project, size + 1, after)
        more = page_token.encode(asked, project_id, found[size - 1].id) if len(found) > size else ""
        return wire.ListFeedbackResponse(feedback=map(respond.feedback, found[:size]), next_page_token=more)

    async def DeleteFeedback(
        self, request: wire.DeleteFeedbackRequest, context: Context
    ) -> wire.DeleteFeedbackResponse:
        """See the proto."""
        project = validation.project_name(request.project, "project")
        searches, before = parse.deleted_feedback(request)
        return wire.DeleteFeedbackResponse(
            deleted_count=await feedback.delete(self._database, project, searches, before)
        )

    async def GetSearchQuality(
        self, request: wire.GetSearchQualityRequest, context: Context
    ) -> wire.GetSearchQualityResponse:
        """See the proto."""
        project = validation.project_name(request.project, "project")
        days = int(validation.between("days", request.days, 0, 365)) or 7
        await self._impressions.flush()  # of this searcher's counts none is missing
        return respond.quality(await feedback.quality(self._database, project, days))

    async def FindDuplicates(
        self, request: wire.FindDuplicatesRequest, context: Context
    ) -> AsyncIterator[wire.FindDuplicatesResponse]:
        """See the proto."""
        asked, digest = parse.duplicates(request)
        async with aclosing(self._duplicates.find(asked)) as progress:
            async for found in progress:
                yield respond.duplicates(found, page_token.encode(digest, *found.place))
                if self._draining.has_begun():
                    raise ShuttingDown

    async def CreateSpace(self, request: wire.CreateSpaceRequest, context: Context) -> wire.CreateSpaceResponse:
        """See the proto."""
        project, space = validation.project_name(request.project, "project"), validation.space(request.space)
        derivation = await asyncio.to_thread(parse.derivation, request) if request.HasField("projection") else None
        changed = await spaces.create(self._database, project, space, derivation)
        return wire.CreateSpaceResponse(project=await self._project(changed))

    async def CompareSpaces(self, request: wire.CompareSpacesRequest, context: Context) -> wire.CompareSpacesResponse:
        """See the proto."""
        project, space = validation.project_name(request.project, "project"), validation.space(request.space)
        samples = int(validation.between("sample_size", request.sample_size, 0, 1000)) or 100
        limit = int(validation.between("limit", request.limit, 0, 100)) or 10
        found = await space_comparison.compare(self._database, project, space, samples=samples, limit=limit)
        return respond.comparison(found)

    async def CutOverSpace(self, request: wire.CutOverSpaceRequest, context: Context) -> wire.CutOverSpaceResponse:
        """See the proto."""
        project, space = validation.project_name(request.project, "project"), validation.space(request.space)
        changed = await spaces.cut_over(
            self._database,
            project,
            space,
            allow_incomplete=request.allow_incomplete,
            index_from=self._config.exact_threshold,
        )
        return wire.CutOverSpaceResponse(project=await self._project(changed))

    async def DeleteSpace(self, request: wire.DeleteSpaceRequest, context: Context) -> wire.DeleteSpaceResponse:
        """See the proto."""
        project, space = validation.project_name(request.project, "project"), validation.space(request.space)
        return wire.DeleteSpaceResponse(
            project=await self._project(await spaces.delete(self._database, project, space))
        )

    async def ExportVectors(
        self, request: wire.ExportVectorsRequest, context: Context
    ) -> AsyncIterator[wire.ExportVectorsResponse]:
        """See the proto."""
        asked, digest = parse.export(request)
        async with aclosing(export.blocks(self._database, asked)) as blocks:
            async for block in blocks:
                yield respond.exported(block, page_token.encode(digest, *block.place))
                if self._draining.has_begun():
                    raise ShuttingDown

    async def _project(self, found: Project) -> wire.Project:
        """The project with the states of its indexes."""
        states = await index.states(self._database, found, threshold=self._config.exact_threshold)
        return respond.project(found, states)

    async def _index(
        self, project: str, batch: Sequence[wire.IndexImagesRequest], parsed: Sequence[Entry | InvalidField]
    ) -> list[wire.IndexImagesResponse]:
        """Store what is valid of the batch in one transaction; the answers to all of it."""
        valid = [item for item in parsed if isinstance(item, Entry)]
        stored = iter(await writing.store(self._database, project, valid, self._config.max_images))
        outcomes = [next(stored) if isinstance(item, Entry) else item for item in parsed]
        self._note(outcomes)
        results = map(respond.indexed, outcomes)
        return [respond.acknowledged(request, results) for request in batch]

    def _note(self, outcomes: Iterable[bool | DomainError]) -> None:
        """Count images that were written, or refused: in the metrics, and for the audit log."""
        audit.count(**Counter(map(self._metrics.outcome, outcomes)))

    def _note_deleted(self, deleted: writing.Deleted) -> None:
        self._metrics.deleted.inc(deleted.images)
        audit.count(deleted_references=deleted.references, deleted_images=deleted.images)


async def _parsed(
    batches: AsyncGenerator[list[wire.IndexImagesRequest], None],
) -> AsyncGenerator[tuple[str, list[wire.IndexImagesRequest], list[Entry | InvalidField]], None]:
    """The stream's project, and each batch with its images."""
    project = ""
    async with aclosing(batches):
        async for batch in batches:
            project = parse.one_project(project, batch)
            messages = [message for request in batch for message in request.entries or [request]]
            parsed: list[Entry | InvalidField] = []
            for start in range(0, len(messages), _PARSED_AT_ONCE):
                parsed += parse.entries(messages[start : start + _PARSED_AT_ONCE])
                await asyncio.sleep(0)  # lets the transaction before go on
            yield project, batch, parsed


def _images(request: wire.IndexImagesRequest) -> int:
    """How many images a request brings."""
    return len(request.entries) or 1
