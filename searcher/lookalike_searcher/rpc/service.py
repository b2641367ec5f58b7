"""Serve the searcher's RPCs: parse the request, call the domain, answer."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.pool import Database
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.feedback import feedback, quality
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.images import reading, writing
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.rpc import page_token, parse, respond
from lookalike_searcher.rpc.duplicate_service import DuplicateService
from lookalike_searcher.rpc.index_handler import Indexing
from lookalike_searcher.rpc.search_handler import Searching
from lookalike_searcher.tuning import state
from lookalike_serving.errors import Context
from lookalike_serving.security.caller import CALLER
from lookalike_serving.server import Draining

_PROJECTS: Final = "projects"
"""The page tokens of ListProjects are bound to this."""


class SearcherService(DuplicateService):
    """The service answers from `database`. Streams end when `draining` begins; `metrics` counts images.

    `threads` compare fingerprints.
    """

    def __init__(
        self,
        config: Config,
        database: Database,
        searching: Searching,
        impressions: Impressions,
        draining: Draining,
        metrics: Metrics,
        threads: ComparisonThreads,
    ) -> None:
        super().__init__(config, database, draining, metrics, threads)
        self._searching = searching
        self._impressions = impressions
        self._indexing = Indexing(config, database, metrics)

    async def CreateProject(self, request: wire.CreateProjectRequest, context: Context) -> wire.CreateProjectResponse:
        """Create a project; see the proto."""
        name, space = validation.project_name(request.name), validation.space(request.space)
        limits, dimensions = parse.limits(request.limits), parse.dimensions(request.dimensions)
        policy = parse.tuning_policy(request.tuning_policy, self._config.tuning_policy)
        created = await registry.create(self._database, name, space, limits, dimensions, policy)
        return wire.CreateProjectResponse(project=await self.project(created))

    async def GetProject(self, request: wire.GetProjectRequest, context: Context) -> wire.GetProjectResponse:
        """Return one project with its spaces; see the proto."""
        project = await registry.get(self._database, validation.project_name(request.name))
        return wire.GetProjectResponse(project=await self.project(project))

    async def ListProjects(self, request: wire.ListProjectsRequest, context: Context) -> wire.ListProjectsResponse:
        """List the projects that the caller may use; see the proto."""
        size, after = validation.page_size(request.page_size), ""
        if request.page_token:
            [after] = page_token.decode(request.page_token, _PROJECTS, (str,))
        projects = await registry.list_after(self._database, after, size + 1, CALLER.get().projects)
        more = page_token.encode(_PROJECTS, projects[size - 1].name) if len(projects) > size else ""
        return wire.ListProjectsResponse(projects=map(respond.project, projects[:size]), next_page_token=more)

    async def UpdateProject(self, request: wire.UpdateProjectRequest, context: Context) -> wire.UpdateProjectResponse:
        """Change a project's limits, switches and policy, or accept a proposal; see the proto."""
        name = validation.project_name(request.name)
        change = parse.update(request)
        if change.accepted:
            await state.accept(self._database, name, change.accepted)
        updated = await registry.update(
            self._database, name, change.limits, **change.switches, tuning_policy=change.policy
        )
        return wire.UpdateProjectResponse(project=await self.project(updated))

    async def DeleteProject(self, request: wire.DeleteProjectRequest, context: Context) -> wire.DeleteProjectResponse:
        """Delete a project with its images; see the proto."""
        await registry.delete(self._database, validation.project_name(request.name))
        return wire.DeleteProjectResponse()

    async def IndexImages(
        self, request_iterator: AsyncIterator[wire.IndexImagesRequest], context: Context
    ) -> AsyncIterator[wire.IndexImagesResponse]:
        """Store a stream of images and acknowledge them; see the proto."""
        async with aclosing(self._indexing.answers(self._draining.until(request_iterator))) as responses:
            async for response in responses:
                yield response

    async def SyncProduct(self, request: wire.SyncProductRequest, context: Context) -> wire.SyncProductResponse:
        """Make a product show these images and no others; see the proto."""
        project_name = validation.project_name(request.project, "project")
        product = validation.product("product", request.product, minimum=1)
        entries = parse.synced(request, product)
        changed, deleted = await writing.sync(self._database, project_name, product, entries, self._config.max_images)
        self._indexing.note(changed)
        self.note_deleted(deleted.references, deleted.images)
        return wire.SyncProductResponse(
            statuses=[respond.index_status(changed=status) for status in changed],
            deleted_reference_count=deleted.references,
            deleted_image_count=deleted.images,
        )

    async def DeleteImages(self, request: wire.DeleteImagesRequest, context: Context) -> wire.DeleteImagesResponse:
        """Delete images and references by name; see the proto."""
        project_name, names = validation.project_name(request.project, "project"), parse.names(request)
        deleted = await writing.delete(self._database, project_name, names)
        self.note_deleted(deleted.references, deleted.images)
        return wire.DeleteImagesResponse(deleted_reference_count=deleted.references, deleted_image_count=deleted.images)

    async def CheckImages(self, request: wire.CheckImagesRequest, context: Context) -> wire.CheckImagesResponse:
        """Return which hashes are stored; see the proto."""
        project_name, hashes = validation.project_name(request.project, "project"), parse.hashes(request)
        space = validation.space(request.space) if request.space else ""
        stored = await reading.stored(self._database, project_name, hashes, space, fingerprint=request.fingerprint)
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
        """Return one image by hash or URI, with its thumbnail where asked; see the proto."""
        project_name = validation.project_name(request.project, "project")
        match request.WhichOneof("image"):
            case "uri":
                stored = await reading.get(self._database, project_name, uri=validation.uri("uri", request.uri))
            case "sha256":
                stored = await reading.get(self._database, project_name, sha256=validation.sha256(request.sha256))
            case _:
                raise InvalidField("sha256", "is required, or else uri")
        [image] = respond.images([stored])
        wanted = request.thumbnail
        thumbnail = await reading.thumbnail(self._database, project_name, stored.sha256) if wanted else b""
        return wire.GetImageResponse(image=image, thumbnail=thumbnail)

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
        validation.at_most("requests", request.requests, validation.MAX_BATCH, minimum=1)
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
