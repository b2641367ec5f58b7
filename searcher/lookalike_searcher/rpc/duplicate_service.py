"""Serve the RPCs about duplicates: parse the request, call the domain, answer."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.pool import Database
from lookalike_searcher.duplicates import dismissals
from lookalike_searcher.duplicates.duplicates import Duplicates
from lookalike_searcher.images import merging
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.rpc import page_token, parse, respond
from lookalike_searcher.rpc.space_service import SpaceService
from lookalike_serving.errors import Context, ShuttingDown
from lookalike_serving.security import audit
from lookalike_serving.server import Draining


class DuplicateService(SpaceService):
    """The service answers RPCs about duplicates. `threads` compare fingerprints; `metrics` counts deleted images."""

    def __init__(
        self, config: Config, database: Database, draining: Draining, metrics: Metrics, threads: ComparisonThreads
    ) -> None:
        super().__init__(config, database, draining)
        self._metrics = metrics
        self._duplicates = Duplicates(database, threads)

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

    async def MergeDuplicates(
        self, request: wire.MergeDuplicatesRequest, context: Context
    ) -> wire.MergeDuplicatesResponse:
        """Merge duplicates into the image that is kept; see the proto."""
        project_name, (keep, duplicates) = validation.project_name(request.project, "project"), parse.merged(request)
        if request.dry_run:
            merged = await merging.preview(self._database, project_name, keep, duplicates)
        else:
            merged = await merging.merge(self._database, project_name, keep, duplicates)
            self.note_deleted(0, merged.images)
        return wire.MergeDuplicatesResponse(moved_reference_count=merged.references, deleted_image_count=merged.images)

    async def DismissDuplicates(
        self, request: wire.DismissDuplicatesRequest, context: Context
    ) -> wire.DismissDuplicatesResponse:
        """Remember that images are no duplicates; see the proto."""
        project_name, named = validation.project_name(request.project, "project"), parse.dismissed(request, 2)
        count = await dismissals.dismiss(self._database, project_name, named)
        return wire.DismissDuplicatesResponse(dismissed_count=count)

    async def ListDismissals(
        self, request: wire.ListDismissalsRequest, context: Context
    ) -> wire.ListDismissalsResponse:
        """List dismissals page by page; see the proto."""
        project_name, size = (
            validation.project_name(request.project, "project"),
            validation.page_size(request.page_size),
        )
        request_digest, after = parse.after(request)
        project_id, stored = await dismissals.page(self._database, project_name, size + 1, after)
        more = page_token.encode(request_digest, project_id, stored[size - 1].id) if len(stored) > size else ""
        return wire.ListDismissalsResponse(dismissals=map(respond.dismissal, stored[:size]), next_page_token=more)

    async def DeleteDismissals(
        self, request: wire.DeleteDismissalsRequest, context: Context
    ) -> wire.DeleteDismissalsResponse:
        """Take dismissals back; see the proto."""
        project_name, named = validation.project_name(request.project, "project"), parse.dismissed(request, 1)
        count = await dismissals.delete(self._database, project_name, named)
        return wire.DeleteDismissalsResponse(deleted_count=count)

    def note_deleted(self, references: int, images: int) -> None:
        """Count what was deleted, in the metrics and for the audit log."""
        self._metrics.deleted.inc(images)
        audit.count(deleted_references=references, deleted_images=images)
