"""The evaluation: embeds, ranks and judges, space by space, over the same photos."""

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
from lookalike.evaluation.duplicates import NearDuplicates, Watcher
from lookalike.evaluation.labels import Labelled
from lookalike.evaluation.ranking import Retrieval, Vectors, leave_one_out, retrieval
from lookalike.evaluation.served import Answers, Served
from lookalike.evaluation.settings import Settings
from lookalike.evaluation.vectors import Pace
from lookalike.ranking_metrics import Counts, Floats
from lookalike.records import Model

Watch = Callable[[str, int, int], object]
"""Is told of a step: what it is, how many images are done now, and of how many in all."""


@dataclass(frozen=True)
class Side:
    """What was found of one space, or of one way to search in it.

    Attributes:
        name: the space, and what tells it from the others.
        ranking: how its rankings were made.
        retrieval: how good they are.
        duplicates: how well copies are told from other photos; None where that was not measured.
        pace: how quick the embedder is; None where none was asked.
        answers: what the searcher answered; None where it was not asked.
        model: the embedder's; likewise.
    """

    name: str
    ranking: str
    retrieval: Retrieval
    duplicates: NearDuplicates | None = None
    pace: Pace | None = None
    answers: Answers | None = None
    model: Model | None = None

    def figures(self) -> dict[str, float]:
        """All figures that were measured, by name; times in milliseconds."""
        found = self.retrieval.figures() | (self.duplicates.figures() if self.duplicates else {})
        if self.pace:
            found["embed_p50_ms"] = self.pace.median_seconds * 1000
            found["embed_images_per_second"] = self.pace.images_per_second
        if self.answers:
            found["search_p50_ms"] = self.answers.median_seconds * 1000
            found["search_p99_ms"] = self.answers.p99_seconds * 1000
        return found


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        labelled: the photos that were evaluated, and those that were left out.
        sides: the spaces, side by side.
        names: the labels.
        labels: each photo's, as a number: the place of its name.
        settings: how it went.
        time: when it ended.
        version: of this library.
    """

    labelled: Labelled
    sides: tuple[Side, ...]
    names: tuple[str, ...]
    labels: Counts
    settings: Settings
    time: datetime
    version: str

    def by_label(self, side: Side, values: Floats) -> dict[str, float]:
        """The mean, for each label that can be found, of a value for each query."""
        own = self.labels[side.retrieval.queries]
        return {
            name: float(values[own == label].mean()) for label, name in enumerate(self.names) if (own == label).any()
        }


async def evaluate(
    labelled: Labelled,
    embedders: Sequence[Client] = (),
    served: Sequence[Served] = (),
    settings: Settings | None = None,
    watch: Watch = lambda *_: None,
) -> Evaluation:
    """Evaluate embedders, whose vectors are ranked exactly, and projects, which are searched; each is a side.

    A photo that one embedder refuses, or one project lacks, is left out of all.

    Args:
        labelled: the photos; see `labels.read`.
        embedders: clients, each of an embedder.
        served: projects that the photos are indexed in.
        settings: how it goes.
        watch: is told how far it has come.

    Raises:
        InvalidRequestError: what is left of the photos cannot be evaluated.
        LookalikeError: a server cannot be reached, or failed.
        ValueError: there is nothing to evaluate.
    """
    if not embedders and not served:
        raise ValueError("there is nothing to evaluate: name an embedder or a project")
    chosen = settings or Settings()
    for project in served:
        labelled = labelled.without(await project.lacking(labelled.photos))
    found = []
    for client in embedders:
        advance = _Steps(watch, "embedding photos", len(labelled.photos))
        vectors, refused = await embedding.embedded(client, labelled.photos, advance)
        found.append(vectors)
        labelled = labelled.without(refused)
    names, labels = np.unique([photo.label for photo in labelled.photos], return_inverse=True)
    study = _Study(labelled, labels, chosen, watch)
    sides = [
        await study.embedder(client, np.array([vectors[photo.name] for photo in labelled.photos]))
        for client, vectors in zip(embedders, found, strict=True)
    ]
    sides += [await study.project(project) for project in served]
    return Evaluation(
        study.labelled,
        _distinct(sides),
        tuple(map(str, names)),
        labels,
        chosen,
        datetime.now(UTC),
        version("lookalike"),
    )


class _Study:
    """One evaluation, once it is settled which photos it is over."""

    def __init__(self, labelled: Labelled, labels: Counts, settings: Settings, watch: Watch) -> None:
        self.labelled = labelled
        self._labels, self._settings, self._watch = labels, settings, watch

    async def embedder(self, client: Client, vectors: Vectors) -> Side:
        """An embedder's side."""
        watcher = Watcher(self._labels, self._settings.threshold)
        judged = retrieval(watcher.watched(leave_one_out(vectors)), self._labels)
        similarities = await self._copies(client, vectors)
        model = await client.model()
        return Side(
            name=model.space,
            ranking="exact cosine, in process",
            retrieval=judged,
            duplicates=NearDuplicates(similarities, watcher.neighbours()) if similarities else None,
            pace=await embedding.pace(client, self.labelled.photos),
            model=model,
        )

    async def _copies(self, client: Client, vectors: Vectors) -> dict[str, Floats]:
        """Similarities by alteration; nothing if no copies are wanted, or could be made."""
        choice = random.Random(self._settings.seed)  # noqa: S311 - no secret
        photos = self.labelled.photos
        rows = sorted(choice.sample(range(len(photos)), min(self._settings.copied, len(photos))))
        advance = _Steps(self._watch, "embedding altered copies", len(rows) * len(alterations.ALTERATIONS))
        similarities = await embedding.copies(client, [photos[row] for row in rows], vectors[rows], advance)
        return similarities if next(iter(similarities.values())).size else {}

    async def project(self, served: Served) -> Side:
        """A project's side."""
        photos = self.labelled.photos
        answers = await searching.asked(served, photos, _Steps(self._watch, "searching", len(photos)))
        options = "".join(f", {name}={value}" for name, value in served.options.items())
        return Side(
            name=f"{answers.space} as {served.project} serves it",
            ranking=f"{answers.mode} search over {answers.images:,} images{options}",
            retrieval=retrieval([answers.ranked], self._labels),
            answers=answers,
        )


def _distinct(sides: Sequence[Side]) -> tuple[Side, ...]:
    """The sides; of those of one name, all but the first are numbered: two embedders may have the same space."""
    counts: Counter[str] = Counter()
    named = []
    for side in sides:
        counts[side.name] += 1
        number = counts[side.name]
        named.append(replace(side, name=f"{side.name} ({number})") if number > 1 else side)
    return tuple(named)


class _Steps:
    """Tells the watch of one step."""

    def __init__(self, watch: Watch, what: str, total: int) -> None:
        self._watch, self._what, self._total, self._done = watch, what, total, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._watch(self._what, self._done, self._total)
