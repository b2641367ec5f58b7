"""Take the steps of a project's tuning: learn, create the space, cut over to it, watch it, and go back."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from lookalike.adapt.choose import MEAN, Choice
from lookalike.adapt.learning import Projection
from lookalike.adapt.space_name import space_name
from lookalike.records import TuningPolicy, TuningStage
from lookalike_searcher.config import Config
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import FailedPrecondition, NotFound
from lookalike_searcher.projects import projection as projections
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import FLOATS, projections_of
from lookalike_searcher.projects.space import Space
from lookalike_searcher.projects.spaces import Derivation
from lookalike_searcher.tuning import learner, live_quality
from lookalike_searcher.tuning.load import Load
from lookalike_searcher.tuning.sample import Reader
from lookalike_searcher.tuning.state import State

_MAX_DIMENSIONS: Final = 2048
"""The most dimensions of which a space is derived with as many of its own; see Projection in the proto."""
_KIND: Final = "tuned"
"""Names of spaces that are made here have this in them: only these are deleted again."""
_ENOUGH_JUDGED: Final = 500
"""After so many searches with feedback that are not worse, or after `live_quality.WINDOW`, watching ends."""

Step = Callable[[Project, State], Awaitable[State | None]]
"""Takes a step of a project. Returns its new state, or None if there was nothing to do."""


class Steps:
    """A step takes a project's tuning from one stage to the next.

    Args:
        config: thresholds.
        database: the database whose projects are tuned.
        load: says when to wait.
    """

    def __init__(self, config: Config, database: Database, load: Load) -> None:
        self._config = config
        self._database = database
        self._load = load
        self._of_stages: Mapping[TuningStage, Step] = {
            TuningStage.IDLE: self._learn,
            TuningStage.PROPOSED: self._learn_or_accept,
            TuningStage.BUILDING: self._build,
            TuningStage.WATCHING: self._watch,
        }

    async def take(self, project: Project, before: State) -> State | None:
        """Take the next step of a project. Returns its new state, or None if there was nothing to do."""
        return await self._of_stages[before.stage](project, before)

    async def _learn(self, project: Project, before: State) -> State | None:
        """Learn and measure, and propose what helps, or choose it at once by the policy."""
        serving, source = project.serving, project.base(project.serving)
        if source.dimensions > _MAX_DIMENSIONS:
            return before.ended("not learned", f"space {source.name!r} has more than {_MAX_DIMENSIONS:,} dimensions")
        choice = await self._choose(project, serving, source)
        project = await registry.get(self._database, project.name)
        if project.space != serving.name or project.tuning_policy is TuningPolicy.OFF:
            return None  # it was changed meanwhile
        gain = _told(choice)
        if choice.projection is None:
            return before.ended("nothing helps", gain)
        chosen = replace(
            before,
            space=space_name(source.name, choice.projection, _KIND),
            source=source.name,
            matrix=choice.projection.matrix.astype(FLOATS).tobytes(),
            centre=choice.projection.centre.astype(FLOATS).tobytes(),
            neighbours=choice.projection.neighbours,
            learning=choice.learning,
        )
        if project.tuning_policy is TuningPolicy.AUTO:
            return chosen.after("chosen", gain, TuningStage.BUILDING)
        return chosen.after("proposed", gain, TuningStage.PROPOSED)

    async def _choose(self, project: Project, serving: Space, source: Space) -> Choice:
        reader = Reader(self._database, self._load, project, source)
        sample = await reader.read()
        fresh, own = np.ones(len(sample.vectors), bool), None
        if serving.source_id:
            async with self._database.reading() as connection:
                stored = await projections_of(self._database).of(connection, serving.id)
                learned_to = await connection.fetchval(statement("projection_learned"), serving.id)
            own = Projection(stored.matrix, stored.centre, stored.neighbours)
            if not serving.learning or serving.learning.method != MEAN:  # a mean is not learned from what is measured
                fresh = reader.later_than(learned_to, len(sample.vectors))
        return await learner.choose(sample, own, fresh, self._load)

    async def _learn_or_accept(self, project: Project, before: State) -> State | None:
        """Accept a proposal by the policy, which has changed; or else learn again, as the project has grown."""
        if project.tuning_policy is TuningPolicy.AUTO:
            return before.after("accepted", "the policy is auto now", TuningStage.BUILDING)
        return await self._learn(project, before)

    async def _build(self, project: Project, before: State) -> State | None:
        """Create the space, which maintenance fills; cut over to it once it is filled and has its index."""
        if project.find_space(before.source) is None:
            return before.ended("withdrawn", f"space {before.source!r} was deleted")
        space = project.find_space(before.space)
        if space is None:
            if before.step == "building":
                return before.ended("withdrawn", f"space {before.space!r} was deleted")
            await self._create(project, before)
            return before.after("building", "the space is being filled", TuningStage.BUILDING)
        if space.neighbours and not space.augmented:
            return None
        now = datetime.now(UTC)
        quality = await live_quality.measure(self._database, project.name, now - live_quality.WINDOW, now)
        with suppress(FailedPrecondition):  # it lacks vectors or its index: we find it later
            await self._cut_over(project, before.space)
            served = replace(before, previous=project.space, baseline=quality, matrix=None, centre=None)
            return served.after("cut over", f"{project.space!r} served before", TuningStage.WATCHING)
        return None

    async def _create(self, project: Project, chosen: State) -> None:
        """Create the chosen space, in place of such spaces of before that do not serve."""
        for old in project.spaces:
            if old.source_id and f"-{_KIND}-" in old.name and old.name not in (project.space, chosen.space):
                with suppress(FailedPrecondition, NotFound):  # it has just been changed
                    await spaces.delete(self._database, project.name, old.name)
        centre = np.frombuffer(chosen.centre or b"", FLOATS)
        matrix = np.frombuffer(chosen.matrix or b"", FLOATS).reshape(-1, len(centre))
        projection = projections.Projection(matrix, centre, chosen.neighbours)
        derivation = Derivation(chosen.source, projection, chosen.learning)
        await spaces.create(self._database, project.name, chosen.space, derivation=derivation)

    async def _cut_over(self, project: Project, space: str) -> None:
        index_from = self._config.exact_threshold
        await spaces.cut_over(self._database, project.name, space, allow_incomplete=False, index_from=index_from)

    async def _watch(self, project: Project, before: State) -> State | None:
        """Go back if the live quality has become worse beyond doubt."""
        if project.space != before.space:
            return before.ended("left", f"{project.space!r} serves now, by somebody's hand")
        now, since = datetime.now(UTC), before.step_time or datetime.now(UTC)
        quality = await live_quality.measure(self._database, project.name, since, now)
        if before.baseline and (loss := before.baseline.loss(quality)):
            if project.find_space(before.previous) is None:
                return before.ended("not gone back", f"{loss}, but space {before.previous!r} was deleted")
            await self._cut_over(project, before.previous)
            return before.ended("went back", f"{loss}; {before.previous!r} serves again")
        if quality.judged >= _ENOUGH_JUDGED or now - since >= live_quality.WINDOW:
            return before.ended("kept", f"{quality.judged:,} searches with feedback are not worse than before")
        return None


def _told(choice: Choice) -> str:
    """Return what was learned from and measured, for people."""
    learning, gain = choice.learning, choice.learning.gain
    neighbours = choice.projection.neighbours if choice.projection else 0
    drawn = f", drawn towards {neighbours} neighbours" if neighbours else ""
    if gain is None:
        too_few = "too few products of two or more images to measure the gain"
        return f"the mean of {learning.images:,} images{drawn}; {too_few}"
    what = (
        "the mean"
        if learning.method == MEAN
        else f"{learning.products:,} products and {learning.judgements:,} judgements"
    )
    found = f"mean average precision {gain.before:.3f} to {gain.after:.3f} on {gain.products:,} held-out products"
    doubt = f"the difference is {gain.low:+.3f} to {gain.high:+.3f} with 99 % confidence"
    return f"{what} of {learning.images:,} images{drawn}: {found}; {doubt}"
