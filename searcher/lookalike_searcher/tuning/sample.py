"""Read what a project's projection is learned from: its vectors, their products, and the feedback."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lookalike.adapt.sample import Sample, collect
from lookalike.records import Embedding, Feedback, HitFeedback, ImageVector, Verdict
from lookalike_searcher.database import halfvec
from lookalike_searcher.database.pool import Database
from lookalike_searcher.feedback import feedback
from lookalike_searcher.images import export
from lookalike_searcher.images.export import ExportQuery
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.tuning.load import Load

_MOST_IMAGES: Final = 20_000
"""Of a larger project, a share of the products is read. So many vectors of 512 dimensions take 40 MB here, and several
times as much in the learning process: both fit into a searcher's container of 1 GiB."""
_PAGE_SIZE: Final = 500
_VERDICTS: Final = {True: Verdict.RIGHT, False: Verdict.WRONG, None: None}


@dataclass
class Reader:
    """The reader reads a project block by block, and waits before each until the load is low.

    Attributes:
        image_ids: the ids of the images whose vectors were read, in order.
    """

    database: Database
    load: Load
    project: Project
    source: Space
    image_ids: list[int] = field(default_factory=list)

    async def read(self) -> Sample:
        """Return what there is to learn from. Raises NotFound if the project or the space is deleted."""
        async with aclosing(self._vectors()) as vectors, aclosing(self._feedback()) as judged:
            return await collect(vectors, judged, self.source.name, self.source.dimensions)

    def later_than(self, image_id: int, count: int) -> np.ndarray:
        """Return for each of `count` vectors whether its image has a higher id; those of queries come after images'."""
        later = np.zeros(count, bool)
        later[: len(self.image_ids)] = np.array(self.image_ids, np.int64) > image_id
        return later

    async def _vectors(self) -> AsyncGenerator[ImageVector, None]:
        fraction = min(1.0, _MOST_IMAGES * 512 / self.source.dimensions / max(1, self.project.image_count))
        query = ExportQuery(self.project.name, self.source.name, fraction, None)
        async with aclosing(export.blocks(self.database, query)) as blocks:
            async for block in blocks:
                for image in block.vectors:
                    self.image_ids.append(image.image_id)
                    yield ImageVector(image.sha256.hex(), tuple(image.products), image.values, image.featureless)
                await self.load.wait_until_low()

    async def _feedback(self) -> AsyncGenerator[Feedback, None]:
        after = None
        while True:
            project_id, page = await feedback.page(self.database, self.project.name, _PAGE_SIZE, after)
            for stored in page:
                yield _record(stored)
            if len(page) < _PAGE_SIZE:
                return
            after = (project_id, page[-1].id)
            await self.load.wait_until_low()


def _record(stored: feedback.Feedback) -> Feedback:
    """Return the library's record of feedback, from which `collect` takes it."""
    query = None
    if stored.embedding:
        vector = stored.embedding.vector
        values = halfvec.decode([vector], halfvec.dimensions_of(len(vector)))[0]
        query = Embedding(stored.embedding.space, tuple(values))
    hits = tuple(
        HitFeedback(
            hit.sha256.hex(),
            hit.verdict.rank,
            _VERDICTS[hit.verdict.right],
            hit.verdict.clicked,
            hit.stored,
            hit.update_time,
        )
        for hit in stored.hits
    )
    return Feedback(
        stored.search_id.hex(), stored.search_time, stored.query_sha256.hex(), stored.query_stored, query, hits
    )
