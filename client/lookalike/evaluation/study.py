"""Run an evaluation: embed, rank and measure, one space after the other, over the same photos."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from lookalike.client import Client
from lookalike.evaluation import alterations
from lookalike.evaluation import served as searching
from lookalike.evaluation import vectors as embedding
from lookalike.evaluation.change import Change, change_to
from lookalike.evaluation.duplicates import NearDuplicates, NeighbourCollector
from lookalike.evaluation.labels import Labelled
from lookalike.evaluation.ranking import Retrieval, Vectors, leave_one_out, retrieval
from lookalike.evaluation.served import Answers, Served
from lookalike.evaluation.settings import Settings
from lookalike.evaluation.vectors import EmbeddingSpeed
from lookalike.ranking_metrics import Counts, Floats
from lookalike.records import Model, Project

ProgressCallback = Callable[[str, int, int], object]
"""A function that is called with a step's name, the number of images that are done, and their total number."""


@dataclass(frozen=True)
class Side:
    """A side holds the figures of one space, or of one way to search in it.

    Attributes:
        name: the space, with more words where several sides have the same space.
        ranking: a description of how the rankings were made.
        retrieval: the quality of the rankings.
        duplicates: how well copies are told from other photos; None if that was not measured.
        speed: the speed of the embedder; None if the side has no embedder.
        answers: the results of the searcher; None if the side has no project.
        model: the model of the embedder; None if the side has no embedder.
        change: what it would take to change to its space.
    """

    name: str
    ranking: str
    retrieval: Retrieval
    duplicates: NearDuplicates | None = None
    speed: EmbeddingSpeed | None = None
    answers: Answers | None = None
    model: Model | None = None
    change: Change | None = None

    def figures(self) -> dict[str, float]:
        """Return all figures that were measured, by name; times are in milliseconds."""
        figures = self.retrieval.figures() | (self.duplicates.figures() if self.duplicates else {})
        if self.speed:
            figures["embed_p50_ms"] = self.speed.median_seconds * 1000
            figures["embed_images_per_second"] = self.speed.images_per_second
        if self.answers:
            figures["search_p50_ms"] = self.answers.median_seconds * 1000
            figures["search_p99_ms"] = self.answers.p99_seconds * 1000
        return figures | (self.change.figures() if self.change else {})


@dataclass(frozen=True)
class Evaluation:
    """An evaluation holds the figures of all sides, over the same photos.

    Attributes:
        labelled: the photos that were evaluated, and those that were left out.
        sides: the spaces, or ways to search, that were compared.
        names: the names of the labels.
        labels: the label of each photo, as an index into `names`.
        settings: the settings of the evaluation.
        time: the time at which it ended.
        version: the version of this library.
    """

    labelled: Labelled
    sides: tuple[Side, ...]
    names: tuple[str, ...]
    labels: Counts
    settings: Settings
    time: datetime
    version: str

    def by_label(self, side: Side, values: Floats) -> dict[str, float]:
        """Return the mean of the values of each label's queries; `values` has one value for each query of the side."""
        labels = self.labels[side.retrieval.queries]
        return {
            name: float(values[labels == label].mean())
            for label, name in enumerate(self.names)
            if (labels == label).any()
        }


async def evaluate(
    labelled: Labelled,
    embedders: Sequence[Client] = (),
    served: Sequence[Served] = (),
    settings: Settings | None = None,
    watch: ProgressCallback = lambda *_: None,
) -> Evaluation:
    """Evaluate embedders, whose vectors are ranked exactly here, and projects, which are searched; each is a side.

    A photo that one embedder refuses or one project lacks is left out of all sides.

    Args:
        labelled: the photos; see `labels.read`.
        embedders: one client for each embedder.
        served: the projects that hold the photos; the first one is that for which the change to a model is reckoned.
        settings: the settings of the evaluation.
        watch: a function that is called with the progress of each step.

    Raises:
        InvalidRequestError: the photos that are left cannot be evaluated.
        LookalikeError: a server cannot be reached or failed.
        ValueError: neither an embedder nor a project is given.
    """
    if not embedders and not served:
        raise ValueError("there is nothing to evaluate: name an embedder or a project")
    chosen = settings or Settings()
    for project in served:
        labelled = labelled.without(await project.missing(labelled.photos))
    vectors_by_embedder = []
    for client in embedders:
        advance = _StepProgress(watch, "embedding photos", len(labelled.photos))
        vectors, refused = await embedding.embed_all(client, labelled.photos, advance)
        vectors_by_embedder.append(vectors)
        labelled = labelled.without(refused)
    names, labels = np.unique([photo.label for photo in labelled.photos], return_inverse=True)
    study = _Study(labelled, labels, chosen, watch)
    sides = [
        await study.embedder(client, np.array([vectors[photo.name] for photo in labelled.photos]))
        for client, vectors in zip(embedders, vectors_by_embedder, strict=True)
    ]
    sides += [await study.project(project) for project in served]
    project_state = await served[0].client.get_project(served[0].project) if served else None
    return Evaluation(
        study.labelled,
        _distinct([replace(side, change=_change(side, project_state)) for side in sides]),
        tuple(map(str, names)),
        labels,
        chosen,
        datetime.now(UTC),
        version("lookalike"),
    )


class _Study:
    """Evaluate one side after the other, over photos that are fixed."""

    def __init__(self, labelled: Labelled, labels: Counts, settings: Settings, watch: ProgressCallback) -> None:
        self.labelled = labelled
        self._labels, self._settings, self._watch = labels, settings, watch

    async def embedder(self, client: Client, vectors: Vectors) -> Side:
        """Evaluate an embedder: rank its vectors exactly, and time it."""
        collector = NeighbourCollector(self._labels, self._settings.threshold)
        quality = retrieval(collector.collect(leave_one_out(vectors)), self._labels)
        similarities = await self._copies(client, vectors)
        model = await client.model()
        return Side(
            name=model.space,
            ranking="exact cosine, in process",
            retrieval=quality,
            duplicates=NearDuplicates(similarities, collector.neighbours()) if similarities else None,
            speed=await embedding.measure_speed(client, self.labelled.photos),
            model=model,
        )

    async def _copies(self, client: Client, vectors: Vectors) -> dict[str, Floats]:
        """Return the similarities of photos and copies, by alteration; empty if there are no copies."""
        choice = random.Random(self._settings.seed)  # noqa: S311 - no secret
        photos = self.labelled.photos
        rows = sorted(choice.sample(range(len(photos)), min(self._settings.copied, len(photos))))
        advance = _StepProgress(self._watch, "embedding altered copies", len(rows) * len(alterations.ALTERATIONS))
        similarities = await embedding.copy_similarities(client, [photos[row] for row in rows], vectors[rows], advance)
        return similarities if next(iter(similarities.values())).size else {}

    async def project(self, served: Served) -> Side:
        """Evaluate a project by searching it."""
        photos = self.labelled.photos
        answers = await searching.search_all(served, photos, _StepProgress(self._watch, "searching", len(photos)))
        options = "".join(f", {name}={value}" for name, value in served.options.items())
        return Side(
            name=f"{answers.space} as {served.project} serves it",
            ranking=f"{answers.mode} search over {answers.images:,} images{options}",
            retrieval=retrieval([answers.ranked], self._labels),
            answers=answers,
        )


def _change(side: Side, project: Project | None) -> Change | None:
    """Return what it would take to change the project to a side's space; None of another project's space."""
    if side.model:
        pace = side.speed.images_per_second if side.speed else None
        return change_to(side.model.space, side.model.dimensions, project, pace)
    spaces = project.spaces if project else ()
    space = next((space for space in spaces if side.answers and space.name == side.answers.space), None)
    return change_to(space.name, space.dimensions, project) if space else None


def _distinct(sides: Sequence[Side]) -> tuple[Side, ...]:
    """Return the sides with distinct names: two embedders may have the same space, so repeated names get a number."""
    counts: Counter[str] = Counter()
    named = []
    for side in sides:
        counts[side.name] += 1
        number = counts[side.name]
        named.append(replace(side, name=f"{side.name} ({number})") if number > 1 else side)
    return tuple(named)


class _StepProgress:
    """Report the progress of one step."""

    def __init__(self, watch: ProgressCallback, what: str, total: int) -> None:
        self._watch, self._what, self._total, self._done = watch, what, total, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._watch(self._what, self._done, self._total)
