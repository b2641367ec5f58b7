"""Serve the searcher's RPCs: parse the request, call the domain, answer."""

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
from lookalike_searcher.feedback import feedback, quality
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
"""A transaction stores so many images, or a few more. More would gain little and delay acknowledgements."""
_PARSED_AT_ONCE: Final = 32
"""So many entries are parsed without a pause, in 1 ms."""
_LINGER_SECONDS: Final = 0.2
"""A transaction waits so long for more images of its stream. To commit one image costs nearly as much as a hundred."""
_PROJECTS: Final = "projects"
"""The page tokens of ListProjects are bound to this."""


class SearcherService(SearcherServiceServicer):
    """The service answers from `database`. Streams end when `draining` begins; `metrics` counts images."""

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
        """Create a project; see the proto."""
        name, space = validation.project_name(request.name), validation.space(request.space)
        created = await registry.create(self._database, name, space, parse.limits(request.limits))
        return wire.CreateProjectResponse(project=await self._project(created))

    async def GetProject(self, request: wire.GetProjectRequest, context: Context) -> wire.GetProjectResponse:
        """Return one project with its spaces; see the proto."""
        project = await registry.get(self._database, validation.project_name(request.name))
        return wire.GetProjectResponse(project=await self._project(project))

    async def ListProjects(self, request: wire.ListProjectsRequest, context: Context) -> wire.ListProjectsResponse:
        """List the projects that the caller may use; see the proto."""
        size, after = validation.page_size(request.page_size), ""
        if request.page_token:
            [after] = page_token.decode(request.page_token, _PROJECTS, (str,))
        projects = await registry.list_after(self._database, after, size + 1, CALLER.get().projects)
        more = page_token.encode(_PROJECTS, projects[size - 1].name) if len(projects) > size else ""
        return wire.ListProjectsResponse(projects=map(respond.project, projects[:size]), next_page_token=more)

    async def UpdateProject(self, request: wire.UpdateProjectRequest, context: Context) -> wire.UpdateProjectResponse:
        """Change a project's limits; see the proto."""
        name = validation.project_name(request.name)
        limits, search_disabled = parse.update(request)
        updated = await registry.update(self._database, name, limits, search_disabled=search_disabled)
        return wire.UpdateProjectResponse(project=await self._project(updated))

    async def DeleteProject(self, request: wire.DeleteProjectRequest, context: Context) -> wire.DeleteProjectResponse:
        """Delete a project with its images; see the proto."""
        await registry.delete(self._database, validation.project_name(request.name))
        return wire.DeleteProjectResponse()

    async def IndexImages(
        self, request_iterator: AsyncIterator[wire.IndexImagesRequest], context: Context
    ) -> AsyncIterator[wire.IndexImagesResponse]:
        """Store a stream of images and acknowledge them; see the proto."""
        requests = self._draining.until(request_iterator)
        batches = gathered(requests, _MAX_TRANSACTION, linger=_LINGER_SECONDS, weight=_images)
        async with aclosing(ahead(_parsed(batches))) as transactions:  # parsed while PostgreSQL stores the last one
            async for project_name, batch, parsed in transactions:
                for response in await self._index(project_name, batch, parsed):
                    yield response

    async def SyncProduct(self, request: wire.SyncProductRequest, context: Context) -> wire.SyncProductResponse:
        """Make a product show these images and no others; see the proto."""
        project_name = validation.project_name(request.project, "project")
        product = validation.product("product", request.product, least=1)
        entries = parse.synced(request, product)
        changed, deleted = await writing.sync(self._database, project_name, product, entries, self._config.max_images)
        self._note(changed)
        self._note_deleted(deleted)
        return wire.SyncProductResponse(
            statuses=[respond.index_status(changed=status) for status in changed],
            deleted_reference_count=deleted.references,
            deleted_image_count=deleted.images,
        )

    async def DeleteImages(self, request: wire.DeleteImagesRequest, context: Context) -> wire.DeleteImagesResponse:
        """Delete images and references by name; see the proto."""
        project_name, names = validation.project_name(request.project, "project"), parse.names(request)
        deleted = await writing.delete(self._database, project_name, names)
        self._note_deleted(deleted)
        return wire.DeleteImagesResponse(deleted_reference_count=deleted.references, deleted_image_count=deleted.images)

    async def CheckImages(self, request: wire.CheckImagesRequest, context: Context) -> wire.CheckImagesResponse:
        """Return which hashes are stored; see the proto."""
        project_name, hashes = validation.project_name(request.project, "project"), parse.hashes(request)
        space = validation.space(request.space) if request.space else ""
        stored = await reading.stored(self._database, project_name, hashes, space)
        return wire.CheckImagesResponse(stored_sha256s=stored)

    async def CheckReferences(
        self, request: wire.CheckReferencesRequest, context: Context
    ) -> wire.CheckReferencesResponse:
        """Return what is stored of references; see the proto."""
        project_name, references = (
            validation.project_name(request.project, "project"),
            parse.possible(request.references),
        )
        space = validation.space(request.space) if request.space else ""
        return respond.states(await reading.states(self._database, project_name, references, space))

    async def ListReferences(
        self, request: wire.ListReferencesRequest, context: Context
    ) -> wire.ListReferencesResponse:
        """List references page by page; see the proto."""
        project_name, size = (
            validation.project_name(request.project, "project"),
            validation.page_size(request.page_size),
        )
        prefix = validation.uri("uri_prefix", request.uri_prefix) if request.uri_prefix else ""
        request_digest, after = parse.after(request)
        project_id, references = await reading.references_after(self._database, project_name, prefix, size + 1, after)
        more = page_token.encode(request_digest, project_id, references[size - 1].id) if len(references) > size else ""
        return wire.ListReferencesResponse(references=map(respond.listed, references[:size]), next_page_token=more)

    async def GetImage(self, request: wire.GetImageRequest, context: Context) -> wire.GetImageResponse:
        """Return one image by hash or URI; see the proto."""
        project_name = validation.project_name(request.project, "project")
        match request.WhichOneof("image"):
            case "uri":
                stored = await reading.get(self._database, project_name, uri=validation.uri("uri", request.uri))
            case "sha256":
                stored = await reading.get(self._database, project_name, sha256=validation.sha256(request.sha256))
            case _:
                raise InvalidField("sha256", "is required, or else uri", None)
        [image] = respond.images([stored])
        return wire.GetImageResponse(image=image)

    async def ListImages(self, request: wire.ListImagesRequest, context: Context) -> wire.ListImagesResponse:
        """List images page by page; see the proto."""
        project_name, size = (
            validation.project_name(request.project, "project"),
            validation.page_size(request.page_size),
        )
        chosen = parse.filter_(request.filter)
        missing = validation.space(request.missing_in_space, "missing_in_space") if request.missing_in_space else ""
        request_digest, after = parse.after(request)
        project_id, images = await reading.page(self._database, project_name, chosen, missing, size + 1, after)
        more = page_token.encode(request_digest, project_id, images[size - 1].id) if len(images) > size else ""
        return wire.ListImagesResponse(images=respond.images(images[:size]), next_page_token=more)

    async def Search(self, request: wire.SearchRequest, context: Context) -> wire.SearchResponse:
        """Search for similar images; see the proto."""
        return await self._searching.answer(request)

    async def SearchBatch(self, request: wire.SearchBatchRequest, context: Context) -> wire.SearchBatchResponse:
        """Answer several searches at once; see the proto."""
        validation.at_most("requests", request.requests, validation.MAX_BATCH, least=1)
        return wire.SearchBatchResponse(results=await self._searching.answer_all(request.requests))

    async def RecordFeedback(
        self, request: wire.RecordFeedbackRequest, context: Context
    ) -> wire.RecordFeedbackResponse:
        """Store verdicts on the hits of searches; see the proto."""
        project_name, judged = validation.project_name(request.project, "project"), parse.feedback(request)
        max_feedback, kept_for = self._config.max_feedback, self._config.feedback_kept
        news = await feedback.record(self._database, project_name, judged, max_feedback=max_feedback, kept_for=kept_for)
        for verdict in news:
            self._metrics.feedback.labels(verdict).inc()
        return wire.RecordFeedbackResponse(changed_count=len(news))

    async def ListFeedback(self, request: wire.ListFeedbackRequest, context: Context) -> wire.ListFeedbackResponse:
        """List feedback page by page; see the proto."""
        project_name, size = (
            validation.project_name(request.project, "project"),
            validation.page_size(request.page_size),
        )
        request_digest, after = parse.after(request)
        project_id, stored = await feedback.page(self._database, project_name, size + 1, after)
        more = page_token.encode(request_digest, project_id, stored[size - 1].id) if len(stored) > size else ""
        return wire.ListFeedbackResponse(feedback=map(respond.feedback, stored[:size]), next_page_token=more)

    async def DeleteFeedback(
        self, request: wire.DeleteFeedbackRequest, context: Context
    ) -> wire.DeleteFeedbackResponse:
        """Delete feedback on searches; see the proto."""
        project_name = validation.project_name(request.project, "project")
        searches, before = parse.deleted_feedback(request)
        return wire.DeleteFeedbackResponse(
            deleted_count=await feedback.delete(self._database, project_name, searches, before)
        )

    async def GetSearchQuality(
        self, request: wire.GetSearchQualityRequest, context: Context
    ) -> wire.GetSearchQualityResponse:
        """Return how good recent searches were; see the proto."""
        project_name = validation.project_name(request.project, "project")
        days = int(validation.between("days", request.days, 0, 365)) or 7
        await self._impressions.flush()  # so that this searcher's counts are complete
        return respond.quality(await quality.measure(self._database, project_name, days))

    async def FindDuplicates(
        self, request: wire.FindDuplicatesRequest, context: Context
    ) -> AsyncIterator[wire.FindDuplicatesResponse]:
        """Find all duplicates of a project; see the proto."""
        query, digest = parse.duplicates(request)
        async with aclosing(self._duplicates.find(query)) as progress:
            async for step in progress:
                yield respond.duplicates(step, page_token.encode(digest, *step.place))
                if self._draining.has_begun():
                    raise ShuttingDown

    async def CreateSpace(self, request: wire.CreateSpaceRequest, context: Context) -> wire.CreateSpaceResponse:
        """Add a space to a project; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        derivation = await asyncio.to_thread(parse.derivation, request) if request.HasField("projection") else None
        changed = await spaces.create(self._database, project_name, space, derivation)
        return wire.CreateSpaceResponse(project=await self._project(changed))

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
        return wire.CutOverSpaceResponse(project=await self._project(changed))

    async def DeleteSpace(self, request: wire.DeleteSpaceRequest, context: Context) -> wire.DeleteSpaceResponse:
        """Delete a space of a project; see the proto."""
        project_name, space = validation.project_name(request.project, "project"), validation.space(request.space)
        return wire.DeleteSpaceResponse(
            project=await self._project(await spaces.delete(self._database, project_name, space))
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

    async def _project(self, project: Project) -> wire.Project:
        """Return the project with the states of its indexes."""
        states = await index.states(self._database, project, threshold=self._config.exact_threshold)
        return respond.project(project, states)

    async def _index(
        self, project_name: str, batch: Sequence[wire.IndexImagesRequest], parsed: Sequence[Entry | InvalidField]
    ) -> list[wire.IndexImagesResponse]:
        """Store the valid entries of the batch in one transaction. Returns the answers to all its requests."""
        valid = [item for item in parsed if isinstance(item, Entry)]
        stored = iter(await writing.store(self._database, project_name, valid, self._config.max_images))
        outcomes = [next(stored) if isinstance(item, Entry) else item for item in parsed]
        self._note(outcomes)
        results = map(respond.indexed, outcomes)
        return [respond.acknowledged(request, results) for request in batch]

    def _note(self, outcomes: Iterable[bool | DomainError]) -> None:
        """Count images that were written or refused, in the metrics and for the audit log."""
        audit.count(**Counter(map(self._metrics.outcome, outcomes)))

    def _note_deleted(self, deleted: writing.Deleted) -> None:
        self._metrics.deleted.inc(deleted.images)
        audit.count(deleted_references=deleted.references, deleted_images=deleted.images)


async def _parsed(
    batches: AsyncGenerator[list[wire.IndexImagesRequest], None],
) -> AsyncGenerator[tuple[str, list[wire.IndexImagesRequest], list[Entry | InvalidField]], None]:
    """Yield the name of the stream's project, and each batch with its parsed entries."""
    project_name = ""
    async with aclosing(batches):
        async for batch in batches:
            project_name = parse.one_project(project_name, batch)
            messages = [message for request in batch for message in request.entries or [request]]
            parsed: list[Entry | InvalidField] = []
            for start in range(0, len(messages), _PARSED_AT_ONCE):
                parsed += parse.entries(messages[start : start + _PARSED_AT_ONCE])
                await asyncio.sleep(0)  # so that the current transaction can go on
            yield project_name, batch, parsed


def _images(request: wire.IndexImagesRequest) -> int:
    """Return how many images a request has."""
    return len(request.entries) or 1
